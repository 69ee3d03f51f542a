//! Expressions of a wanted type, built of what the environments offer.
//!
//! They are typed as strict validation types them, so that it takes nearly all. What they compute is left to chance.

use crate::dice::{DATES, DECIMALS, Dice, GONE, HUGE_LONGS, HUGE_WAITS, IDS, IPS, LONGS, STRINGS, WAITS};
use crate::paths::{Environment, Path, access, named, paths};
use crate::schema::{Attribute, Catalog, Kind};

/// Values that one policy may gather in sets and records of its own; the evaluator has room for some more.
const MAX_GATHERED: usize = 24;

/// Writes the expressions of one policy.
pub(crate) struct Writer<'c, 'd> {
    pub(crate) catalog: &'c Catalog,
    pub(crate) dice: &'d mut Dice,
    pub(crate) environments: Vec<Environment>,
    pub(crate) paths: Vec<Path>,
    /// How far from the request a policy may read.
    pub(crate) steps: usize,
    /// Whether it may name what overflows and what is absent.
    pub(crate) is_risky: bool,
    gathered: usize,
}

impl<'c, 'd> Writer<'c, 'd> {
    pub(crate) fn new(
        catalog: &'c Catalog,
        dice: &'d mut Dice,
        environments: Vec<Environment>,
        steps: usize,
        risky: usize,
    ) -> Self {
        let is_risky = dice.percent(risky);
        let paths = paths(catalog, &environments, steps);
        Self { catalog, dice, environments, paths, steps, is_risky, gathered: 0 }
    }

    /// Writes with fewer environments in sight.
    pub(crate) fn narrowed(
        &mut self,
        to: impl Fn(&Environment) -> bool,
        write: impl FnOnce(&mut Self) -> String,
    ) -> String {
        let fewer: Vec<_> = self.environments.iter().copied().filter(to).collect();
        let fewer_paths = paths(self.catalog, &fewer, self.steps);
        let environments = std::mem::replace(&mut self.environments, fewer);
        let paths = std::mem::replace(&mut self.paths, fewer_paths);
        let text = write(self);
        self.environments = environments;
        self.paths = paths;
        text
    }

    /// A path of a type that satisfies the test.
    pub(crate) fn path(&mut self, wanted: impl Fn(&Path) -> bool) -> Option<Path> {
        let found: Vec<_> = self.paths.iter().filter(|path| wanted(path)).cloned().collect();
        (!found.is_empty()).then(|| self.dice.pick(&found))
    }

    /// The guard of a path, in one of its two spellings.
    pub(crate) fn guard(&mut self, path: &Path) -> Option<String> {
        let guard = path.guard.clone()?;
        match &path.chain {
            Some((variable, chain)) if chain.len() > 1 && self.dice.percent(60) => {
                Some(format!("{variable} has {}", chain.join(".")))
            }
            _ => Some(guard),
        }
    }

    /// An expression of a type that can be written.
    pub(crate) fn value(&mut self, kind: &Kind, depth: usize) -> String {
        if depth == 0 || self.dice.percent(45) {
            return self.leaf(kind);
        }
        let depth = depth - 1;
        match self.dice.below(10) {
            0 => format!(
                "(if {} then {} else {})",
                self.test(depth),
                self.value(kind, depth),
                self.value(kind, depth)
            ),
            1 if self.gather(2) => {
                let (first, second) = (self.value(kind, depth), self.leaf(&Kind::Long));
                format!("{{\"a\": {first}, \"b\": {second}}}.a")
            }
            2 => self.tag(kind).unwrap_or_else(|| self.leaf(kind)),
            _ => self.operator(kind, depth),
        }
    }

    /// Whether so many values may still be gathered.
    fn gather(&mut self, several: usize) -> bool {
        let fits = self.gathered + several <= MAX_GATHERED;
        self.gathered += if fits { several } else { 0 };
        fits
    }

    fn leaf(&mut self, kind: &Kind) -> String {
        let path = if self.dice.percent(75) { self.path(|path| path.kind == *kind) } else { None };
        let Some(path) = path else { return self.literal(kind) };
        match self.guard(&path) {
            None => path.text,
            Some(guard) => format!("(if {guard} then {} else {})", path.text, self.literal(kind)),
        }
    }

    /// The tag of some entity, where there is one of this type.
    fn tag(&mut self, kind: &Kind) -> Option<String> {
        let catalog = self.catalog;
        let has = |path: &Path| matches!(path.kind, Kind::Entity(place) if catalog.types[place].tags.as_ref() == Some(kind));
        let path = self.path(|path| path.guard.is_none() && has(path))?;
        let (of, key, otherwise) = (path.text, self.leaf(&Kind::String), self.literal(kind));
        Some(format!("(if {of}.hasTag({key}) then {of}.getTag({key}) else {otherwise})"))
    }

    fn operator(&mut self, kind: &Kind, depth: usize) -> String {
        match kind {
            Kind::Bool => format!("({})", self.test(depth)),
            Kind::Long => self.long(depth),
            Kind::Datetime => match self.dice.below(2) {
                0 => format!("{}.offset({})", self.value(kind, depth), self.value(&Kind::Duration, depth)),
                _ => format!("{}.toDate()", self.value(kind, depth)),
            },
            Kind::Duration => {
                let date = self.value(&Kind::Datetime, depth);
                match self.dice.below(2) {
                    0 => format!("{date}.durationSince({})", self.value(&Kind::Datetime, depth)),
                    _ => format!("{date}.toTime()"),
                }
            }
            Kind::Set(element) => {
                let several = self.dice.between(1, 3);
                if !self.gather(several) {
                    return self.leaf(kind);
                }
                let elements: Vec<_> = (0..several).map(|_| self.value(element, depth)).collect();
                format!("[{}]", elements.join(", "))
            }
            Kind::Record(attributes) if self.gather(attributes.len()) => {
                let field = |of: &Attribute| format!("\"{}\": {}", of.name, self.value(&of.kind, depth));
                let fields: Vec<_> = attributes.iter().map(field).collect();
                format!("{{{}}}", fields.join(", "))
            }
            Kind::Record(_) | Kind::String | Kind::Decimal | Kind::Ip | Kind::Entity(_) => self.leaf(kind),
        }
    }

    fn long(&mut self, depth: usize) -> String {
        let (mut left, right) = (self.value(&Kind::Long, depth), self.value(&Kind::Long, depth));
        if self.is_risky && self.dice.percent(50) {
            left = self.dice.pick(HUGE_LONGS).to_string();
        }
        match self.dice.below(8) {
            0 => format!("({left} + {right})"),
            1 => format!("({left} - {right})"),
            2 => format!("({left} * {right})"),
            3 => format!("-({left})"),
            _ => {
                let unit = ["toMilliseconds", "toSeconds", "toMinutes", "toHours", "toDays"];
                format!("{}.{}()", self.value(&Kind::Duration, depth), self.dice.pick(&unit))
            }
        }
    }

    /// A constant.
    pub(crate) fn literal(&mut self, kind: &Kind) -> String {
        match kind {
            Kind::Bool => self.dice.pick(&["true", "false"]).to_string(),
            Kind::Long if self.is_risky && self.dice.percent(30) => self.dice.pick(HUGE_LONGS).to_string(),
            Kind::Long => self.dice.pick(LONGS).to_string(),
            Kind::String => format!("\"{}\"", self.dice.pick(STRINGS)),
            Kind::Decimal => format!("decimal(\"{}\")", self.dice.pick(DECIMALS)),
            Kind::Datetime => format!("datetime(\"{}\")", self.dice.pick(DATES)),
            Kind::Duration if self.is_risky && self.dice.percent(30) => {
                format!("duration(\"{}\")", self.dice.pick(HUGE_WAITS))
            }
            Kind::Duration => format!("duration(\"{}\")", self.dice.pick(WAITS)),
            Kind::Ip => format!("ip(\"{}\")", self.dice.pick(IPS)),
            Kind::Entity(place) => self.entity(*place),
            Kind::Set(element) => {
                let several = self.dice.between(1, 3);
                let elements: Vec<_> = (0..several).map(|_| self.literal(element)).collect();
                format!("[{}]", elements.join(", "))
            }
            Kind::Record(attributes) => {
                let field = |of: &Attribute| format!("\"{}\": {}", of.name, self.literal(&of.kind));
                let fields: Vec<_> = attributes.iter().map(field).collect();
                format!("{{{}}}", fields.join(", "))
            }
        }
    }

    /// An entity of a type; sometimes one that no snapshot lists.
    pub(crate) fn entity(&mut self, place: usize) -> String {
        let choices = self.catalog.types[place].choices;
        let id = match choices.is_empty() {
            false => self.dice.pick(choices),
            true if self.is_risky && self.dice.percent(20) => GONE,
            true => self.dice.pick(IDS),
        };
        format!("{}::\"{id}\"", self.catalog.name(place))
    }

    /// A type that some path has and that can be written.
    pub(crate) fn some_kind(&mut self) -> Kind {
        let path = self.path(|path| path.kind.is_writable());
        path.map_or(Kind::Long, |path| path.kind)
    }

    /// `has` on whatever has attributes: names that are there, and names that are not.
    pub(crate) fn has(&mut self) -> String {
        let variable = self.dice.pick(&["principal", "resource", "context"]);
        let chained = self.path(|path| path.chain.as_ref().is_some_and(|(_, chain)| chain.len() > 1));
        match (self.dice.below(3), chained) {
            (0, Some(Path { chain: Some((root, chain)), .. })) => format!("{root} has {}", chain.join(".")),
            (1, Some(path)) => {
                let (last, before) = path.chain.as_ref().and_then(|(_, chain)| chain.split_last()).unwrap();
                let parent = path.text.strip_suffix(&access(last)).unwrap();
                let opens = self.paths.iter().any(|path| path.text == parent && path.guard.is_none());
                match opens && !before.is_empty() {
                    true => format!("{parent} has {}", named(last)),
                    false => format!("{variable} has size"),
                }
            }
            _ => format!(
                "{variable} has {}",
                named(self.dice.pick(&["size", "two words", "owner", "nothing"]))
            ),
        }
    }
}
