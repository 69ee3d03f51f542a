//! Differential: random policies, entities and requests, answered by Cedar and by us.
//!
//! If Cedar reports no error, the decision is the same; reasons and errors are always the same; and if Cedar reports any
//! error, or names an entity that is not there, ours is not an allow. The generator covers what the corpus lacks:
//! contexts, several policies together, missing entities, overflow, extension types. The seed is printed; set
//! `ASSENT_SEED` to repeat a run and `ASSENT_ROUNDS` for a longer one.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "what stands beside the tests may fail as loudly as a test"
)]

mod oracle;

use assent_compiler::{Bundle, Sources};
use oracle::Oracle;
use serde_json::{Value, json};
use std::fmt::Write;

const SCHEMA: &str = r#"
entity Group in [Group];
entity User in [Group] = { age: Long, name: String, boss?: User, tags: Set<String>, home: ipaddr, pay: decimal, born: datetime } tags Long;
entity File in [Group] = { owner: User, size: Long, path: String, readers: Set<User>, meta: { kind: String, hidden?: Bool } };
action any;
action read, write in [any] appliesTo { principal: [User], resource: [File, User], context: {
  count: Long, text: String, flag: Bool, who?: User, when: datetime, wait: duration, from: ipaddr, price: decimal,
  list: Set<Long>, names: Set<String>, inner: { a: Long, b?: Set<Long> } } };
"#;

/// A splitmix64 generator: small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.below(from.len())]
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }
}

const STRINGS: &[&str] = &["", "a", "ab", "abc", "b*", "\u{e9}", "log/x", "log/y"];
const LONGS: &[&str] =
    &["0", "1", "-1", "2", "7", "9223372036854775807", "-9223372036854775807", "4611686018427387904"];
const IPS: &[&str] = &["10.0.0.1", "10.0.0.0/8", "127.0.0.1", "::1", "ff02::1", "224.0.0.1/3", "0.0.0.0/0"];
const DATES: &[&str] = &["1970-01-01", "2024-02-29T23:59:59.999Z", "1969-12-31T00:00:01+0130"];
const WAITS: &[&str] = &["0ms", "-1ms", "1d2h3m4s5ms", "90m", "106751991167d"];
const DECIMALS: &[&str] = &["0.0", "-0.5", "1.25", "922337203685477.5807"];
const PATTERNS: &[&str] = &["*", "a*", "*b", "log/*", "*\\**", "a*b*c", ""];
const USERS: &[&str] = &["User::\"u0\"", "User::\"u1\"", "User::\"u2\"", "User::\"gone\""];
const GROUPS: &[&str] = &["Group::\"g0\"", "Group::\"g1\"", "Group::\"g2\"", "Group::\"gone\""];

/// Expressions by type, well typed so that strict validation takes most of them.
impl Dice {
    fn long(&mut self, depth: usize) -> String {
        if depth == 0 || self.one_in(3) {
            return match self.below(5) {
                0 => self.pick(LONGS).to_owned(),
                1 => "context.count".to_owned(),
                2 => "context.inner.a".to_owned(),
                3 => "principal.age".to_owned(),
                _ => "resource.size".to_owned(),
            };
        }
        let d = depth - 1;
        match self.below(6) {
            0..=2 => {
                let operator = self.pick(&["+", "-", "*"]);
                format!("({} {operator} {})", self.long(d), self.long(d))
            }
            3 => format!("-({})", self.long(d)),
            4 => {
                let unit = self.pick(&["toMilliseconds", "toSeconds", "toMinutes", "toHours", "toDays"]);
                format!("{}.{unit}()", self.duration(d))
            }
            _ => format!("(if {} then {} else {})", self.bool(d), self.long(d), self.long(d)),
        }
    }

    fn string(&mut self) -> String {
        match self.below(4) {
            0 => "context.text".to_owned(),
            1 => "principal.name".to_owned(),
            2 => "resource.path".to_owned(),
            _ => format!("\"{}\"", self.pick(STRINGS)),
        }
    }

    fn date(&mut self, depth: usize) -> String {
        match self.below(if depth == 0 { 3 } else { 5 }) {
            0 => "context.when".to_owned(),
            1 => "principal.born".to_owned(),
            2 => format!("datetime(\"{}\")", self.pick(DATES)),
            3 => format!("{}.offset({})", self.date(depth - 1), self.duration(depth - 1)),
            _ => format!("{}.toDate()", self.date(depth - 1)),
        }
    }

    fn duration(&mut self, depth: usize) -> String {
        match self.below(if depth == 0 { 2 } else { 4 }) {
            0 => "context.wait".to_owned(),
            1 => format!("duration(\"{}\")", self.pick(WAITS)),
            2 => format!("{}.durationSince({})", self.date(depth - 1), self.date(depth - 1)),
            _ => format!("{}.toTime()", self.date(depth - 1)),
        }
    }

    fn ip(&mut self) -> String {
        match self.below(3) {
            0 => "context.from".to_owned(),
            1 => "principal.home".to_owned(),
            _ => format!("ip(\"{}\")", self.pick(IPS)),
        }
    }

    fn decimal(&mut self) -> String {
        match self.below(3) {
            0 => "context.price".to_owned(),
            1 => "principal.pay".to_owned(),
            _ => format!("decimal(\"{}\")", self.pick(DECIMALS)),
        }
    }

    fn user(&mut self) -> String {
        match self.below(3) {
            0 => "principal".to_owned(),
            1 => "resource.owner".to_owned(),
            _ => self.pick(USERS).to_owned(),
        }
    }

    fn longs(&mut self, depth: usize) -> String {
        match self.below(3) {
            0 => "context.list".to_owned(),
            1 => format!("[{}, {}]", self.pick(LONGS), self.pick(LONGS)),
            _ => format!("[{}, {}, {}]", self.long(depth), self.pick(LONGS), self.long(depth)),
        }
    }

    fn bool(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.test(0);
        }
        let d = depth - 1;
        match self.below(8) {
            0 | 1 => format!("({} && {})", self.bool(d), self.bool(d)),
            2 | 3 => format!("({} || {})", self.bool(d), self.bool(d)),
            4 => format!("!({})", self.bool(d)),
            5 => format!("(if {} then {} else {})", self.bool(d), self.bool(d), self.bool(d)),
            _ => self.test(d),
        }
    }

    fn test(&mut self, d: usize) -> String {
        let order = self.pick(&["<", "<=", ">", ">=", "==", "!="]);
        match self.below(22) {
            0 | 1 => format!("{} {order} {}", self.long(d), self.long(d)),
            2 => format!("{} {order} {}", self.date(d), self.date(d)),
            3 => format!("{} {order} {}", self.duration(d), self.duration(d)),
            4 => format!("{} == {}", self.string(), self.string()),
            5 => format!("{} like \"{}\"", self.string(), self.pick(PATTERNS)),
            6 => {
                let name = self.pick(&["lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual"]);
                format!("{}.{name}({})", self.decimal(), self.decimal())
            }
            7 => format!("{}.isInRange({})", self.ip(), self.ip()),
            8 => format!("{}.{}()", self.ip(), self.pick(&["isIpv4", "isIpv6", "isLoopback", "isMulticast"])),
            9 => format!("{} in {}", self.user(), self.pick(GROUPS)),
            10 => format!("{} in [{}, {}]", self.user(), self.pick(GROUPS), self.pick(USERS)),
            11 => format!("{} == {}", self.user(), self.user()),
            12 => format!("{}.contains({})", self.longs(d), self.long(d)),
            13 => {
                format!("{}.{}({})", self.longs(d), self.pick(&["containsAll", "containsAny"]), self.longs(d))
            }
            14 => format!("{} == {}", self.longs(d), self.longs(d)),
            15 => "context has who && context.who in Group::\"g1\"".to_owned(),
            16 => "context has inner.b && context.inner.b.contains(1)".to_owned(),
            17 => format!("principal.hasTag({0}) && principal.getTag({0}) > 1", self.string()),
            18 => "principal has boss && principal.boss == resource.owner".to_owned(),
            19 => format!(
                "resource.readers.contains({}) && context.names.containsAny(principal.tags)",
                self.user()
            ),
            20 => format!("resource.meta == {{kind: {}}}", self.string())
                .replace("== {kind", "!= {hidden: true, kind"),
            _ => format!("{{a: {}, b: {}}}.a == {}", self.long(d), self.string(), self.long(d)),
        }
    }

    fn policy(&mut self) -> String {
        let effect = self.pick(&["permit", "permit", "forbid"]);
        let principal = match self.below(5) {
            0 => format!("principal == {}", self.pick(USERS)),
            1 => format!("principal in {}", self.pick(GROUPS)),
            2 => format!("principal is User in {}", self.pick(GROUPS)),
            _ => "principal".to_owned(),
        };
        let action = self.pick(&[
            "action",
            "action == Action::\"read\"",
            "action in Action::\"any\"",
            "action in [Action::\"write\"]",
        ]);
        let resource = if self.one_in(4) {
            format!("resource is File in {}", self.pick(GROUPS))
        } else {
            "resource is File".to_owned()
        };
        let mut policy = format!("{effect} ({principal}, {action}, {resource})");
        for _ in 0..self.below(3) {
            let (word, depth) = (self.pick(&["when", "when", "unless"]), self.below(4));
            write!(policy, " {word} {{ {} }}", self.bool(depth)).unwrap();
        }
        policy + ";\n"
    }

    fn entities(&mut self) -> Value {
        let mut all = Vec::new();
        for number in 0..3 {
            let parents: Vec<_> = (number + 1..3)
                .filter(|_| self.one_in(2))
                .map(|above| json!({"type": "Group", "id": format!("g{above}")}))
                .collect();
            all.push(json!({"uid": {"type": "Group", "id": format!("g{number}")}, "attrs": {}, "parents": parents}));
        }
        for number in 0..3 {
            let mut attrs = json!({
                "age": self.pick(LONGS).parse::<i64>().unwrap(), "name": self.pick(STRINGS), "tags": [self.pick(STRINGS), self.pick(STRINGS)],
                "home": self.pick(IPS), "pay": self.pick(DECIMALS), "born": self.pick(DATES),
            });
            if self.one_in(2) {
                attrs["boss"] = json!({"type": "User", "id": self.pick(&["u0", "u1", "gone"])});
            }
            let mut tags = json!({});
            tags[self.pick(STRINGS)] = json!(self.below(4));
            let parents = json!([{"type": "Group", "id": self.pick(&["g0", "g1", "g2", "gone"])}]);
            all.push(json!({"uid": {"type": "User", "id": format!("u{number}")}, "attrs": attrs, "parents": parents, "tags": tags}));
        }
        for number in 0..2 {
            let user = |id: &str| json!({"type": "User", "id": id});
            let mut meta = json!({"kind": self.pick(STRINGS)});
            if self.one_in(2) {
                meta["hidden"] = json!(true);
            }
            let attrs = json!({
                "owner": user(self.pick(&["u0", "u1", "gone"])), "size": self.pick(LONGS).parse::<i64>().unwrap(), "path": self.pick(STRINGS),
                "readers": [user(self.pick(&["u0", "u1"])), user("u2")], "meta": meta,
            });
            let parents = json!([{"type": "Group", "id": self.pick(&["g0", "g1", "g2"])}]);
            all.push(json!({"uid": {"type": "File", "id": format!("f{number}")}, "attrs": attrs, "parents": parents}));
        }
        Value::Array(all)
    }

    fn request(&mut self) -> Value {
        let mut context = json!({
            "count": self.pick(LONGS).parse::<i64>().unwrap(), "text": self.pick(STRINGS), "flag": self.one_in(2), "when": self.pick(DATES),
            "wait": self.pick(WAITS), "from": self.pick(IPS), "price": self.pick(DECIMALS), "names": [self.pick(STRINGS), self.pick(STRINGS)],
            "list": [self.pick(LONGS).parse::<i64>().unwrap(), 1, 1], "inner": {"a": self.below(3)},
        });
        if self.one_in(2) {
            context["who"] = json!({"type": "User", "id": self.pick(&["u0", "u1", "gone"])});
        }
        if self.one_in(2) {
            context["inner"]["b"] = json!([self.below(2), 5]);
        }
        json!({
            "principal": {"type": "User", "id": self.pick(&["u0", "u1", "u2", "gone"])},
            "action": {"type": "Action", "id": self.pick(&["read", "write", "read", "nothing"])},
            "resource": {"type": "File", "id": self.pick(&["f0", "f1", "f0", "gone"])},
            "context": context,
        })
    }
}

/// Ids that no snapshot of the generator lists, in what a request names.
fn names_absent(request: &Value) -> bool {
    [&request["principal"], &request["resource"], &request["context"]["who"]]
        .into_iter()
        .any(|uid| uid["id"] == "gone")
}

#[derive(Debug, Default)]
struct Tally {
    bundles: usize,
    requests: usize,
    allowed: usize,
    with_errors: usize,
}

/// One bundle of several policies and its requests.
fn round(dice: &mut Dice, tally: &mut Tally) {
    let entities = dice.entities().to_string();
    let mut policies = String::new();
    for _ in 0..=dice.below(8) {
        let policy = dice.policy();
        if Oracle::accepts(SCHEMA, &policy, &entities) {
            policies.push_str(&policy);
        }
    }
    let bundle = match Bundle::compile(Sources::plain(SCHEMA, &policies, &entities)) {
        Ok(bundle) => bundle,
        Err(error) => panic!("rejected though Cedar accepts: {}\n{policies}", error.report()),
    };
    let oracle = Oracle::new(SCHEMA, &policies, &entities);
    tally.bundles += 1;
    for _ in 0..24 {
        let request = dice.request();
        let cedar = oracle.answer(&request);
        let ours = bundle.answer(&request.to_string()).unwrap();
        let told = || format!("{policies}\n{entities}\n{request}\nours {ours:?}\ncedar {cedar:?}");
        assert_eq!(ours.cedar_decision, cedar.decision, "{}", told());
        assert!(ours.reasons.iter().eq(&cedar.reasons) && ours.errors.iter().eq(&cedar.errors), "{}", told());
        let may_allow = cedar.decision == "allow"
            && cedar.errors.is_empty()
            && !names_absent(&request)
            && request["action"]["id"] != "nothing";
        assert_eq!(ours.decision == "allow", may_allow, "{}", told());
        tally.requests += 1;
        tally.allowed += usize::from(may_allow);
        tally.with_errors += usize::from(!cedar.errors.is_empty());
    }
}

#[test]
fn random_policies_are_answered_as_cedar_answers() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("ASSENT_SEED").unwrap_or(20_261_124);
    let rounds = number("ASSENT_ROUNDS").unwrap_or(400);
    println!("seed {seed}, {rounds} rounds");
    let run = move || {
        let (mut dice, mut tally) = (Dice(seed), Tally::default());
        for _ in 0..rounds {
            round(&mut dice, &mut tally);
        }
        println!("{tally:?}");
        assert!(tally.allowed > 0 && tally.with_errors > 0, "the generator reaches both: {tally:?}");
    };
    let run = std::thread::Builder::new().stack_size(256 << 20).spawn(run).unwrap();
    run.join().unwrap();
}
