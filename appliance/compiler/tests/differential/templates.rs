//! Templates: policies with slots, and the links that fill them.
//!
//! Cedar is asked twice: whether it takes template and links together, and what the policy decides that each link stands
//! for, written out.

use crate::dice::Dice;
use crate::expressions::Writer;
use crate::policies::{Accepted, Author};
use crate::schema::URL;
use cedar_policy::{EntityUid, Policy, PolicyId, PolicySet, SlotId, Template};
use serde_json::{Value, json};
use std::collections::HashMap;

/// One side of a scope with a slot, the types it accepts, and what can fill it.
struct Side {
    scope: String,
    types: Vec<usize>,
    fillings: Vec<String>,
}

impl Author<'_> {
    /// A template with one or two links. The first of them brings the template's text.
    pub(crate) fn write_template(&mut self, dice: &mut Dice) {
        self.tried += 1;
        let number = self.statements();
        let anchor = dice.pick(&self.environments());
        let is_forbid = dice.percent(self.mood.forbids);
        let sides = [("principal", anchor.principal), ("resource", anchor.resource)];
        let slotted = dice.below(3);
        let [principal, resource] = [0, 1].map(|place| {
            let (name, kind) = sides[place];
            (slotted == 2 || slotted == place).then(|| self.side(dice, name, kind))
        });
        let scope = |side: &Option<Side>, (name, kind): (&str, usize)| match side {
            Some(side) => side.scope.clone(),
            None => format!("{name} is {}", self.catalog.name(kind)),
        };
        let types = |side: &Option<Side>, kind: usize| match side {
            Some(side) => side.types.clone(),
            None => vec![kind],
        };
        let scopes = (scope(&principal, sides[0]), scope(&resource, sides[1]));
        let accepted = (types(&principal, anchor.principal), types(&resource, anchor.resource));
        let effect = if is_forbid { "forbid" } else { "permit" };
        let text = format!("@id(\"t {number}\") {}", self.body_of(dice, effect, anchor, scopes, accepted));
        let mut links = Vec::new();
        for place in 0..dice.between(1, 2) {
            let mut args = Vec::new();
            for (slot, side) in [("?principal", &principal), ("?resource", &resource)] {
                if let Some(side) = side {
                    args.push((slot, dice.pick(&side.fillings)));
                }
            }
            links.push((format!("l {number} {place}"), args));
        }
        if self.takes_links(&text, &links) {
            self.accept_links(number, text, links);
        }
    }

    /// A scope of one side with a slot in it.
    fn side(&self, dice: &mut Dice, name: &str, kind: usize) -> Side {
        let (slot, type_name) = (format!("?{name}"), self.catalog.name(kind));
        let every: Vec<_> = (0..self.catalog.types.len()).collect();
        // Nothing is asked of transient entities, which lie below nothing.
        let form = if kind == URL { 0 } else { dice.below(3) };
        let mut writer = Writer::new(self.catalog, dice, Vec::new(), 0, self.mood.risky);
        let own: Vec<_> = (0..3).map(|_| writer.entity(kind)).collect();
        let above: Vec<_> = (0..3).map(|_| writer.above(kind)).collect();
        match form {
            0 => Side { scope: format!("{name} == {slot}"), types: every, fillings: own },
            1 if name == "principal" => {
                Side { scope: format!("{name} in {slot}"), types: every, fillings: above }
            }
            _ => {
                Side { scope: format!("{name} is {type_name} in {slot}"), types: vec![kind], fillings: above }
            }
        }
    }

    /// Whether Cedar takes the template with all its links.
    fn takes_links(&self, text: &str, links: &[(String, Vec<(&str, String)>)]) -> bool {
        let template = Template::parse(Some(PolicyId::new("template")), text)
            .unwrap_or_else(|error| panic!("the generator wrote nonsense: {error:?}\n{text}"));
        let mut all = PolicySet::new();
        all.add_template(template).unwrap();
        let linked = links.iter().all(|(id, args)| {
            let slot = |name: &str| {
                if name == "?principal" { SlotId::principal() } else { SlotId::resource() }
            };
            let values: HashMap<SlotId, EntityUid> =
                args.iter().map(|(name, uid)| (slot(name), uid.parse().unwrap())).collect();
            all.link(PolicyId::new("template"), PolicyId::new(id), values).is_ok()
        });
        linked && self.validates(&all)
    }

    /// Keeps each link as the policy it stands for.
    fn accept_links(&mut self, number: usize, text: String, links: Vec<(String, Vec<(&str, String)>)>) {
        for (place, (id, args)) in links.into_iter().enumerate() {
            let filled = args.iter().fold(text.clone(), |text, (slot, uid)| text.replace(slot, uid));
            let policy = Policy::parse(Some(PolicyId::new(&id)), &filled).unwrap();
            let named: serde_json::Map<String, Value> =
                args.iter().map(|(slot, uid)| ((*slot).to_owned(), json!(uid))).collect();
            let link = json!({"template_id": format!("t {number}"), "link_id": id, "args": named});
            let text = if place == 0 { text.clone() } else { String::new() };
            self.accepted.push(Accepted {
                id,
                text,
                policy,
                link: Some(link),
                score: None,
                is_liftable: false,
            });
        }
    }
}
