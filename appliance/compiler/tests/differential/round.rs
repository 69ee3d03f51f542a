//! A round: one bundle, several snapshots, and the requests to each.

use crate::Tally;
use crate::dice::Dice;
use crate::operators::Operators;
use crate::policies::{Accepted, Author, Mood};
use crate::referee::Referee;
use crate::requests::{Asked, request};
use crate::schema::Catalog;
use crate::shrinking::{Case, shrink};
use crate::values::entities;
use assent_compiler::{Answer, Bundle, BundleError, Document, Rules, Sources};
use cedar_policy::{Entities, Schema, Validator};
use serde_json::Value;

const SNAPSHOTS: usize = 4;
const REQUESTS: usize = 80;

/// The files of a bundle.
pub(crate) fn sources(
    schema: &str,
    policies: &[Accepted],
    risk: &[Accepted],
    entities: &[Value],
    rules: Rules,
) -> Sources {
    let text = |of: &[Accepted]| of.iter().map(|accepted| accepted.text.as_str()).collect::<String>();
    let (first, second) = policies.split_at(policies.len() / 2);
    let links: Vec<_> = policies.iter().filter_map(|accepted| accepted.link.clone()).collect();
    Sources {
        catalog: Document::new("catalog.cedarschema", schema),
        policies: vec![
            Document::new("policies/a.cedar", text(first)),
            Document::new("policies/b.cedar", text(second)),
        ],
        risk: vec![Document::new("risk/a.cedar", text(risk))],
        entities: vec![Document::new("entities.json", Value::from(entities.to_vec()).to_string())],
        tests: Vec::new(),
        links: Some(Document::new("links.json", Value::from(links).to_string())),
        operators: None,
        rules,
    }
}

/// Ours, as far as it is compared. The words for people are not.
pub(crate) fn ours(bundle: &Bundle, asked: &Asked) -> Answer {
    Answer { detail: None, ..bundle.answer(&asked.json.to_string()).unwrap() }
}

/// A bundle and whatever chance has in store for it.
pub(crate) struct Round {
    dice: Dice,
    catalog: Catalog,
    schema: Schema,
    rules: Rules,
    accepted: Vec<Accepted>,
    risk: Vec<Accepted>,
    tried: usize,
    /// Whether ours lacks the first policy's effect, so that there is something to notice.
    pub(crate) is_incomplete: bool,
}

impl Round {
    /// Writes the bundle of this number.
    pub(crate) fn write(seed: u64, number: u64) -> Self {
        let mut dice = Dice::of(seed, number);
        let catalog = Catalog::random(&mut dice);
        let text = catalog.text();
        let (schema, _) = Schema::from_cedarschema_str(&text)
            .unwrap_or_else(|error| panic!("the generator wrote nonsense: {error:?}\n{text}"));
        let validator = Validator::new(schema.clone());
        let mood = Mood::random(&mut dice);
        let mut author = Author {
            catalog: &catalog,
            validator: &validator,
            mood,
            accepted: Vec::new(),
            risk: Vec::new(),
            tried: 0,
        };
        author.write_all(&mut dice);
        let Author { accepted, risk, tried, .. } = author;
        Self { dice, schema, rules: mood.rules, accepted, risk, tried, is_incomplete: false, catalog }
    }

    /// Compiles it. A bundle with a policy that asks `in` of a transient type is ours to reject, though Cedar takes it: it is
    /// asked as plain files, which are not.
    fn bundle(&mut self) -> Bundle {
        let mut compiled = self.compile();
        if compiled.as_ref().is_err_and(|error| error.report().contains("is of the transient type")) {
            self.rules = Rules::Plain;
            compiled = self.compile();
        }
        compiled.unwrap_or_else(|error| {
            panic!("rejected though Cedar accepts: {}\n{}", error.report(), self.catalog.text())
        })
    }

    fn compile(&self) -> Result<Bundle, BundleError> {
        let mut policies = self.accepted.clone();
        let first = policies.iter_mut().find(|accepted| accepted.link.is_none());
        if let Some(first) = first.filter(|_| self.is_incomplete) {
            // A policy of the same name that never holds.
            let id = &first.id;
            first.text = format!("@id({id:?}) permit (principal, action, resource) when {{ 1 == 2 }};\n");
        }
        let rules = if self.is_incomplete { Rules::Plain } else { self.rules };
        // A budget is for whoever serves: what the worst case is, is another test's.
        Bundle::compile_within(sources(&self.catalog.text(), &policies, &self.risk, &[], rules), u64::MAX)
    }

    /// Asks it, and says what differs first.
    pub(crate) fn ask(mut self, tally: &mut Tally, operators: &mut Operators) -> Option<String> {
        tally.bundles += 1;
        tally.policies_tried += self.tried;
        tally.policies_accepted += self.accepted.len() + self.risk.len();
        tally.links += self.accepted.iter().filter(|accepted| accepted.link.is_some()).count();
        tally.largest_bundle = tally.largest_bundle.max(self.accepted.len());
        self.accepted.iter().chain(&self.risk).for_each(|accepted| operators.count(&accepted.policy));
        let mut bundle = self.bundle();
        let Self { dice, catalog, schema, rules, accepted, risk, is_incomplete, .. } = &mut self;
        let mut referee = Referee::new(catalog, schema, accepted, risk);
        for _ in 0..SNAPSHOTS {
            let listed = entities(catalog, dice);
            let json = Value::from(listed.clone()).to_string();
            let cedar = Entities::from_json_str(&json, Some(schema))
                .unwrap_or_else(|error| panic!("the generator wrote nonsense: {error:?}\n{json}"));
            bundle = bundle
                .with_entities(vec![Document::new("entities.json", json)])
                .unwrap_or_else(|error| panic!("rejected though Cedar accepts: {}", error.report()));
            referee.with_entities(&cedar);
            for _ in 0..REQUESTS {
                let asked = request(catalog, dice);
                let expected = referee.answer(&asked);
                count(tally, &asked, &expected);
                if ours(&bundle, &asked) != expected {
                    let case = Case { catalog, schema, rules: *rules, asked: &asked };
                    return Some(match is_incomplete {
                        true => "as it must".to_owned(),
                        false => shrink(&case, accepted, risk, &listed),
                    });
                }
            }
        }
        None
    }
}

fn count(tally: &mut Tally, asked: &Asked, expected: &Answer) {
    let is = |refusal| u64::from(expected.refusal == refusal);
    tally.requests += 1;
    tally.allowed += is(None);
    tally.denied += is(Some("POLICY_DENIED"));
    tally.held += is(Some("APPROVAL_REQUIRED"));
    tally.invalid += is(Some("INTENT_INVALID"));
    tally.unclassified += is(Some("INTENT_UNCLASSIFIED"));
    tally.unavailable += is(Some("EVALUATION_UNAVAILABLE"));
    tally.with_errors += u64::from(!expected.errors.is_empty());
    tally.absent += u64::from(asked.json.to_string().contains("\"gone\""));
    tally.stricter += u64::from(expected.cedar_decision == "allow" && expected.decision == "deny");
}
