//! The catalog of one run: entity types in several namespaces, their hierarchy, and actions with contexts.
//!
//! Names of attributes come from one short list, and mean mostly but not always the same type: so the same word has
//! another type in another context, which a policy over several request environments must get right.

use crate::dice::Dice;
use std::fmt::Write;

/// A type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    Long,
    String,
    Decimal,
    Datetime,
    Duration,
    Ip,
    Entity(usize),
    Set(Box<Self>),
    Record(Vec<Attribute>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attribute {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) is_required: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct EntityType {
    pub(crate) namespace: &'static str,
    pub(crate) local: &'static str,
    pub(crate) parents: Vec<usize>,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) tags: Option<Kind>,
    pub(crate) choices: &'static [&'static str],
    pub(crate) is_transient: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Action {
    pub(crate) namespace: &'static str,
    pub(crate) id: String,
    pub(crate) groups: Vec<usize>,
    pub(crate) principals: Vec<usize>,
    pub(crate) resources: Vec<usize>,
    pub(crate) context: Vec<Attribute>,
    pub(crate) risk: i64,
    pub(crate) is_asserted: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Catalog {
    pub(crate) types: Vec<EntityType>,
    /// Groups come first.
    pub(crate) actions: Vec<Action>,
}

pub(crate) const NAMESPACES: &[&str] = &["Org", "App", "App::Data"];
/// One of them can only be written in quotes.
const NAMES: &[&str] = &[
    "size",
    "level",
    "name",
    "path",
    "open",
    "born",
    "wait",
    "home",
    "pay",
    "owner",
    "peers",
    "labels",
    "meta",
    "scores",
    "two words",
];
/// Two are names of facts, which the appliance asserts in `context.assent` and nowhere else.
const INNER_NAMES: &[&str] = &["a", "b", "size", "who", "risk", "now"];
/// Namespace, name and possible parents of every type: parents never come later, so that there are no circles.
const TYPES: &[(&str, &str, &[usize])] = &[
    ("Org", "Team", &[0]),
    ("App", "Folder", &[0, 1]),
    ("Org", "User", &[0]),
    ("App", "User", &[0, 1, 2]),
    ("App::Data", "Bot", &[0, 2]),
    ("App", "File", &[1, 3]),
    ("App::Data", "File", &[1, 5, 6]),
    ("Org", "Doc", &[]),
    ("Org", "Color", &[]),
    ("App", "Url", &[]),
];
pub(crate) const COLOR: usize = 8;
pub(crate) const URL: usize = 9;
const PRINCIPALS: &[usize] = &[2, 3, 4];
const RESOURCES: &[usize] = &[5, 6, 7, 1, 2];

impl Kind {
    /// Whether a record or set of literals can have it: strictly, a record with an optional attribute has another type.
    pub(crate) fn is_writable(&self) -> bool {
        match self {
            Self::Set(element) => element.is_writable(),
            Self::Record(attributes) => {
                attributes.iter().all(|attribute| attribute.is_required && attribute.kind.is_writable())
            }
            _ => true,
        }
    }
}

impl Catalog {
    pub(crate) fn random(dice: &mut Dice) -> Self {
        let usual: Vec<Kind> = NAMES.iter().map(|_| kind(dice, 2)).collect();
        let types: Vec<_> = TYPES
            .iter()
            .enumerate()
            .map(|(place, (namespace, local, parents))| {
                let bare = place == COLOR || place == URL;
                let several = dice.between(4, 8);
                EntityType {
                    namespace,
                    local,
                    parents: dice.some(parents, 75),
                    attributes: if bare { Vec::new() } else { attributes(dice, NAMES, &usual, several) },
                    tags: (!bare && dice.percent(50)).then(|| kind(dice, 1)),
                    choices: if place == COLOR { &["red", "green"] } else { &[] },
                    is_transient: place == URL,
                }
            })
            .collect();
        let group = |namespace, id: &str, groups| Action {
            namespace,
            id: id.to_owned(),
            groups,
            principals: Vec::new(),
            resources: Vec::new(),
            context: Vec::new(),
            risk: 0,
            is_asserted: false,
        };
        let mut actions = vec![
            group("Org", "all", vec![]),
            group("App", "change", vec![0]),
            group("App", "look at", vec![0]),
            group("App", "all", vec![1]),
        ];
        for number in 0..dice.between(2, 5) {
            actions.push(action(dice, number, &usual));
        }
        actions.push(Action { resources: vec![URL], ..action(dice, 9, &usual) });
        Self { types, actions }
    }

    /// The full name of a type.
    pub(crate) fn name(&self, place: usize) -> String {
        let kind = &self.types[place];
        format!("{}::{}", kind.namespace, kind.local)
    }

    /// An action or group as Cedar writes it.
    pub(crate) fn action(&self, place: usize) -> String {
        let action = &self.actions[place];
        format!("{}::Action::\"{}\"", action.namespace, action.id)
    }

    /// Whether entities of a type can lie below entities of another.
    pub(crate) fn can_be_in(&self, below: usize, above: usize) -> bool {
        below == above
            || self.types[below]
                .parents
                .iter()
                .any(|parent| *parent == above || (*parent != below && self.can_be_in(*parent, above)))
    }

    /// Whether an action is one of a group, or the same.
    pub(crate) fn is_within(&self, action: usize, group: usize) -> bool {
        action == group || self.actions[action].groups.iter().any(|above| self.is_within(*above, group))
    }

    fn kind(&self, kind: &Kind) -> String {
        match kind {
            Kind::Bool => "Bool".to_owned(),
            Kind::Long => "Long".to_owned(),
            Kind::String => "String".to_owned(),
            Kind::Decimal => "decimal".to_owned(),
            Kind::Datetime => "datetime".to_owned(),
            Kind::Duration => "duration".to_owned(),
            Kind::Ip => "ipaddr".to_owned(),
            Kind::Entity(place) => self.name(*place),
            Kind::Set(element) => format!("Set<{}>", self.kind(element)),
            Kind::Record(attributes) => self.record(attributes),
        }
    }

    fn record(&self, attributes: &[Attribute]) -> String {
        let listed = attributes.iter().map(|Attribute { name, kind, is_required }| {
            format!("\"{name}\"{}: {}", if *is_required { "" } else { "?" }, self.kind(kind))
        });
        format!("{{ {} }}", listed.collect::<Vec<_>>().join(", "))
    }

    fn names(&self, places: &[usize]) -> String {
        places.iter().map(|place| self.name(*place)).collect::<Vec<_>>().join(", ")
    }

    /// In Cedar's schema language.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for namespace in NAMESPACES {
            writeln!(text, "namespace {namespace} {{").unwrap();
            let own = |place: &usize| self.types[*place].namespace == *namespace;
            for place in (0..self.types.len()).filter(own) {
                self.write_type(place, &mut text);
            }
            for action in self.actions.iter().filter(|action| action.namespace == *namespace) {
                self.write_action(action, &mut text);
            }
            text.push_str("}\n");
        }
        text
    }

    fn write_type(&self, place: usize, text: &mut String) {
        let EntityType { local, parents, attributes, tags, choices, is_transient, .. } = &self.types[place];
        if !choices.is_empty() {
            writeln!(text, "  entity {local} enum {choices:?};").unwrap();
            return;
        }
        let mark = if *is_transient { "@transient " } else { "" };
        write!(text, "  {mark}entity {local}").unwrap();
        if !parents.is_empty() {
            write!(text, " in [{}]", self.names(parents)).unwrap();
        }
        if !attributes.is_empty() {
            write!(text, " = {}", self.record(attributes)).unwrap();
        }
        if let Some(kind) = tags {
            write!(text, " tags {}", self.kind(kind)).unwrap();
        }
        text.push_str(";\n");
    }

    fn write_action(&self, action: &Action, text: &mut String) {
        if action.risk > 0 {
            write!(text, "  @risk(\"{}\")", action.risk).unwrap();
        }
        write!(text, "  action \"{}\"", action.id).unwrap();
        if !action.groups.is_empty() {
            let groups: Vec<_> = action.groups.iter().map(|group| self.action(*group)).collect();
            write!(text, " in [{}]", groups.join(", ")).unwrap();
        }
        if !action.principals.is_empty() {
            let (principals, resources) = (self.names(&action.principals), self.names(&action.resources));
            let context = self.record(&action.context);
            write!(
                text,
                " appliesTo {{ principal: [{principals}], resource: [{resources}], context: {context} }}"
            )
            .unwrap();
        }
        text.push_str(";\n");
    }
}

fn action(dice: &mut Dice, number: usize, usual: &[Kind]) -> Action {
    let several = dice.between(5, 9);
    let is_asserted = dice.percent(60);
    let mut context = attributes(dice, NAMES, usual, several);
    if is_asserted {
        context.push(Attribute { name: "assent", kind: facts(), is_required: true });
    }
    Action {
        namespace: dice.pick(&["Org", "App"]),
        id: format!("act {number}"),
        groups: dice.some(&[1, 2, 3], 50),
        principals: dice.some_of(PRINCIPALS, 50),
        resources: dice.some_of(RESOURCES, 40),
        context,
        risk: dice.pick(&[0, 0, 10, 40]),
        is_asserted,
    }
}

/// The record that the appliance asserts.
fn facts() -> Kind {
    let attributes = [
        ("now", Kind::Datetime),
        ("risk", Kind::Long),
        ("approvals", Kind::Long),
        ("degraded", Kind::Bool),
        ("agent_rate", Kind::Long),
        ("epoch", Kind::Long),
    ];
    let required = |(name, kind)| Attribute { name, kind, is_required: true };
    Kind::Record(attributes.into_iter().map(required).collect())
}

/// So many attributes, each mostly of its name's usual type.
fn attributes(dice: &mut Dice, names: &[&'static str], usual: &[Kind], several: usize) -> Vec<Attribute> {
    let start = dice.below(names.len());
    let stride = if names.len() > 4 { 4 } else { 1 };
    let chosen = (0..several).map(|step| (start + step * stride) % names.len());
    chosen
        .map(|place| {
            let is_usual = dice.percent(75);
            let kind = if is_usual { usual[place].clone() } else { kind(dice, 2) };
            Attribute { name: names[place], kind, is_required: dice.percent(75) }
        })
        .collect()
}

fn kind(dice: &mut Dice, depth: usize) -> Kind {
    let nested = if depth == 0 { 14 } else { 20 };
    match dice.below(nested) {
        0 => Kind::Bool,
        1..=3 => Kind::Long,
        4..=5 => Kind::String,
        6 => Kind::Decimal,
        7..=8 => Kind::Datetime,
        9 => Kind::Duration,
        10 => Kind::Ip,
        11..=13 => Kind::Entity(dice.below(URL)),
        14..=17 => Kind::Set(Box::new(kind(dice, depth - 1))),
        _ => {
            let several = dice.between(1, 3);
            let inner: Vec<_> = INNER_NAMES.iter().map(|_| kind(dice, depth - 1)).collect();
            Kind::Record(attributes(dice, INNER_NAMES, &inner, several))
        }
    }
}
