//! Shrinking: a difference, reduced to the policies and entities that it needs.
//!
//! Whatever can be left out with a difference remaining, is. It does not touch the request or the catalog.

use crate::policies::Accepted;
use crate::referee::Referee;
use crate::requests::Asked;
use crate::round::{ours, sources};
use crate::schema::Catalog;
use assent_compiler::{Answer, Bundle, Rules};
use cedar_policy::{Entities, PolicyId, Schema};
use serde_json::Value;

/// What stays as it is.
pub(crate) struct Case<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) schema: &'a Schema,
    pub(crate) rules: Rules,
    pub(crate) asked: &'a Asked,
}

#[derive(Clone)]
struct Files {
    policies: Vec<Accepted>,
    risk: Vec<Accepted>,
    entities: Vec<Value>,
}

impl Case<'_> {
    /// Ours and what it must be, where they differ.
    fn difference(&self, files: &Files) -> Option<(Answer, Answer)> {
        let Files { policies, risk, entities } = files;
        let json = Value::from(entities.clone()).to_string();
        let cedar = Entities::from_json_str(&json, Some(self.schema)).ok()?;
        let text = self.catalog.text();
        let bundle =
            Bundle::compile_within(sources(&text, policies, risk, entities, self.rules), u64::MAX).ok()?;
        let mut referee = Referee::new(self.catalog, self.schema, policies, risk);
        referee.with_entities(&cedar);
        let (ours, expected) = (ours(&bundle, self.asked), referee.answer(self.asked));
        (ours != expected).then_some((ours, expected))
    }
}

/// Policies without an `@id` are named by position, and positions move when others are left out.
fn renamed(mut files: Files) -> Files {
    let statements = files.policies.iter_mut().chain(&mut files.risk);
    for (position, accepted) in statements.filter(|accepted| !accepted.text.is_empty()).enumerate() {
        if accepted.link.is_none() && !accepted.text.contains("@id") {
            accepted.id = format!("policy{position}");
            accepted.policy = accepted.policy.new_id(PolicyId::new(&accepted.id));
        }
    }
    files
}

/// Leaves out, one after the other, what a difference does not need.
fn leave_out<T>(case: &Case<'_>, files: &mut Files, list: impl Fn(&mut Files) -> &mut Vec<T>) {
    let mut place = 0;
    while place < list(files).len() {
        let mut fewer = files.clone();
        list(&mut fewer).remove(place);
        let fewer = renamed(fewer);
        match case.difference(&fewer) {
            Some(_) => *files = fewer,
            None => place += 1,
        }
    }
}

/// The difference in words.
pub(crate) fn shrink(
    case: &Case<'_>,
    policies: &[Accepted],
    risk: &[Accepted],
    entities: &[Value],
) -> String {
    let mut files = Files { policies: policies.to_vec(), risk: risk.to_vec(), entities: entities.to_vec() };
    // Twice: a template stays until all of its links but one are gone.
    leave_out(case, &mut files, |files| &mut files.policies);
    leave_out(case, &mut files, |files| &mut files.policies);
    leave_out(case, &mut files, |files| &mut files.risk);
    leave_out(case, &mut files, |files| &mut files.entities);
    let all = || files.policies.iter().chain(&files.risk);
    let listed: Vec<_> = all().map(|policy| policy.text.as_str()).collect();
    let links: Vec<_> = all().filter_map(|policy| policy.link.clone()).collect();
    let (ours, expected) = case.difference(&files).map_or_else(
        || ("not repeated alone".to_owned(), String::new()),
        |(ours, expected)| (format!("{ours:?}"), format!("{expected:?}")),
    );
    format!(
        "an answer differs\ncatalog:\n{}\npolicies ({} risk):\n{}\nlinks: {}\nentities:\n{}\nrequest:\n{}\nours:      {ours}\nexpected: {expected}",
        case.catalog.text(),
        files.risk.len(),
        listed.concat(),
        Value::from(links),
        Value::from(files.entities.clone()),
        case.asked.json,
    )
}
