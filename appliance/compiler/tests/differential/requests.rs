//! Requests: most fit the catalog, and some fit nothing.
//!
//! What fits is known only to Cedar's own request validation; here it is left to chance what is broken.

use crate::dice::Dice;
use crate::paths::environments;
use crate::schema::{Action, Catalog, Kind};
use crate::values::Values;
use cedar_policy::EntityUid;
use serde_json::{Map, Value, json};

/// Requests out of a hundred that are broken somewhere.
const BROKEN: usize = 10;

#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) json: Value,
    /// Place of the action in the catalog, where it is one.
    pub(crate) action: Option<usize>,
}

pub(crate) fn request(catalog: &Catalog, dice: &mut Dice) -> Asked {
    let environment = dice.pick(&environments(catalog));
    let oddity = dice.pick(&[0, 0, 20, 80]);
    let mut values = Values::new(catalog, dice, oddity);
    let action = &catalog.actions[environment.action];
    let principal =
        json!({"type": catalog.name(environment.principal), "id": values.id(environment.principal)});
    let resource = json!({"type": catalog.name(environment.resource), "id": values.id(environment.resource)});
    let states_facts = action.is_asserted && values.dice.percent(50);
    let mut context = values.record(&action.context);
    if states_facts {
        context["assent"]["risk"] = json!(values.dice.pick(&[0, 10, 25, 60, 100, 160, i64::MAX]));
    } else {
        context.remove("assent");
    }
    let mut asked = Asked {
        json: json!({
            "principal": principal,
            "action": {"type": format!("{}::Action", action.namespace), "id": action.id},
            "resource": resource,
            "context": context,
        }),
        action: Some(environment.action),
    };
    if dice.percent(BROKEN) {
        asked.break_somewhere(catalog, dice);
    }
    asked
}

impl Asked {
    pub(crate) fn context(&self) -> &Map<String, Value> {
        self.json["context"].as_object().unwrap()
    }

    /// The action, where the catalog has it as one that can be asked for.
    pub(crate) fn action<'c>(&self, catalog: &'c Catalog) -> Option<&'c Action> {
        self.action.map(|place| &catalog.actions[place]).filter(|action| !action.principals.is_empty())
    }

    /// The entities in it that a snapshot must list: transient and enumerated ones are there by declaration.
    pub(crate) fn named(&self, catalog: &Catalog) -> Vec<EntityUid> {
        let mut found = Vec::new();
        for part in ["principal", "resource", "context"] {
            collect(&self.json[part], &mut found);
        }
        let is_declared = |uid: &EntityUid| {
            let name = uid.type_name().to_string();
            let place = (0..catalog.types.len()).find(|place| catalog.name(*place) == name);
            place.is_some_and(|place| {
                let kind = &catalog.types[place];
                kind.is_transient || kind.choices.contains(&uid.id().unescaped())
            })
        };
        found.retain(|uid| !is_declared(uid));
        found
    }

    fn break_somewhere(&mut self, catalog: &Catalog, dice: &mut Dice) {
        let some_type = catalog.name(dice.below(catalog.types.len()));
        let attribute = |of: &Self, dice: &mut Dice| {
            let names: Vec<_> = of.context().keys().filter(|name| *name != "assent").cloned().collect();
            (!names.is_empty()).then(|| dice.pick(&names))
        };
        match dice.below(9) {
            0 => self.json["principal"]["type"] = json!(some_type),
            1 => self.json["resource"]["type"] = json!(some_type),
            2 => {
                self.json["action"]["id"] = json!("nothing");
                self.action = None;
            }
            3 => {
                let group = dice.below(4);
                let Action { namespace, id, .. } = &catalog.actions[group];
                self.json["action"] = json!({"type": format!("{namespace}::Action"), "id": id});
                self.action = Some(group);
            }
            4 => {
                if let Some(name) = attribute(self, dice) {
                    self.json["context"].as_object_mut().unwrap().remove(&name);
                }
            }
            5 => self.json["context"]["nothing of ours"] = json!(1),
            6 => {
                if let Some(name) = attribute(self, dice) {
                    let kind = dice.pick(&[Kind::Long, Kind::String, Kind::Bool, Kind::Entity(2)]);
                    let mut values = Values::new(catalog, dice, 0);
                    let value = values.value(&Kind::Set(Box::new(kind)));
                    self.json["context"][name] = value;
                }
            }
            7 => self.json["context"]["assent"] = json!({"risk": 0}),
            _ => self.json["principal"] = json!({"type": "Nobody::Knows", "id": "e0"}),
        }
    }
}

/// Every uid within a value, in either spelling.
fn collect(value: &Value, found: &mut Vec<EntityUid>) {
    match value {
        Value::Object(fields)
            if fields.len() == 2 && fields.contains_key("type") && fields.contains_key("id") =>
        {
            found.push(EntityUid::from_json(value.clone()).unwrap());
        }
        Value::Object(fields) => fields.values().for_each(|value| collect(value, found)),
        Value::Array(elements) => elements.iter().for_each(|value| collect(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
