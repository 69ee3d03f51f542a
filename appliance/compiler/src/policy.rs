//! Policies: parsed by Cedar, named and annotated by us, templates expanded by their links.
//!
//! The rule it keeps: ids are unique over policies, templates and links, and each knows where it stands. Indices are the
//! image's: the policies in the order of their text, then those of links, then the risk model's in the same order.

use crate::annotation::{Annotations, approval, score};
use crate::bundle::{Document, Rules};
use crate::diagnosis::Diagnosis;
use crate::error::BundleError;
use crate::links::{Link, links};
use crate::nesting;
use crate::place::Place;
use crate::schema::ResolvedSchema;
use crate::statement::{Statement, statements};
use crate::{transience, validation};
use assent_evaluator::Effect;
use assent_proto::limits::MAX_POLICY_ID_BYTES;
use cedar_policy::{Policy, PolicyId, PolicySet, Template, pst};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::str::FromStr;

/// What to do about text that Cedar does not parse.
const SYNTAX: &str = "correct the policy here; its syntax is Cedar's";

/// Whose approvals lift a forbid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// How many.
    pub count: u32,
    /// Of whom.
    pub group: String,
}

/// A clause as its author wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClauseNote {
    /// Where it begins.
    pub place: Place,
    /// From `when` or `unless` to its closing brace.
    pub text: String,
}

/// What people want to know of a policy.
#[derive(Clone, Debug)]
pub struct PolicyNote {
    /// Its `@id`, or `policy` and its position; of a link, the link's id.
    pub id: String,
    /// The file it stands in; of a link, its template's.
    pub file: String,
    /// Where it begins.
    pub place: Place,
    /// Of a link: the id of its template.
    pub template: Option<String>,
    /// Of a link: what fills its template's slots, as `?principal = User::"alice"`.
    pub filled: String,
    /// What it does.
    pub effect: Effect,
    /// Why, in the author's words.
    pub reason: Option<String>,
    /// What to do about it, in the author's words.
    pub advice: Option<String>,
    /// On a forbid: the approvals that lift it.
    pub approval: Option<Approval>,
    /// Its text as its author wrote it.
    pub text: String,
    /// Its clauses, in their order; none where it was not written in Cedar's own syntax.
    pub clauses: Vec<ClauseNote>,
}

/// A policy that passed validation.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) note: PolicyNote,
    pub(crate) body: pst::Template,
}

/// The documents that hold policies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PolicyDocuments<'d> {
    pub(crate) policies: &'d [Document],
    pub(crate) risk: &'d [Document],
    pub(crate) links: Option<&'d Document>,
}

/// Parses, names and validates the policies of a bundle and its risk model.
pub(crate) fn accept(
    documents: PolicyDocuments<'_>,
    schema: &ResolvedSchema,
    rules: Rules,
) -> Result<(Vec<Accepted>, Vec<String>), BundleError> {
    let mut intake = Intake {
        rules,
        places: HashMap::new(),
        position: 0,
        all: PolicySet::new(),
        accepted: Vec::new(),
        templates: BTreeMap::new(),
        unreadable: None,
    };
    for document in documents.policies {
        match rules == Rules::Plain && document.name.ends_with(".json") {
            true => intake.read_json(document)?,
            false => intake.read(document, false)?,
        }
    }
    for document in documents.risk {
        intake.read(document, true)?;
    }
    for link in documents.links.map_or(Ok(Vec::new()), links)? {
        intake.link(&link)?;
    }
    intake.check_links()?;
    let warnings = validation::validate(&intake.all, &intake.places, &schema.schema, rules)?;
    let Intake { all, mut accepted, unreadable, .. } = intake;
    if let Some(error) = unreadable {
        return Err(error);
    }
    if rules == Rules::Bundle {
        transience::check(&accepted, &all, schema)?;
    }
    accepted.sort_by_key(|policy| matches!(policy.note.effect, Effect::Score(_)));
    Ok((accepted, warnings))
}

/// Where a policy, template or link stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'d> {
    pub(crate) document: &'d Document,
    pub(crate) at: usize,
}

impl Origin<'_> {
    pub(crate) fn place(&self) -> Place {
        self.document.place(self.at)
    }
}

/// A statement in its file.
#[derive(Clone, Debug)]
struct Written<'d> {
    document: &'d Document,
    statement: Statement,
    is_risk: bool,
}

/// A template, and whether anything links it.
#[derive(Debug)]
struct Linkable<'d> {
    template: Template,
    written: Written<'d>,
    is_linked: bool,
}

struct Intake<'d> {
    rules: Rules,
    /// Where each id was given.
    places: HashMap<String, Origin<'d>>,
    /// Statements so far, over all files.
    position: usize,
    all: PolicySet,
    accepted: Vec<Accepted>,
    templates: BTreeMap<String, Linkable<'d>>,
    /// The first policy that has no public syntax tree.
    unreadable: Option<BundleError>,
}

impl<'d> Intake<'d> {
    fn read(&mut self, document: &'d Document, is_risk: bool) -> Result<(), BundleError> {
        nesting::check(document, nesting::Text::Policies)?;
        let parsed = PolicySet::from_str(&document.text)
            .map_err(|error| BundleError::policies(Diagnosis::of(&error, document, 0, SYNTAX)))?;
        let mut statements = statements(&document.text).into_iter();
        let count = parsed.num_of_policies() + parsed.num_of_templates();
        for number in 0..count {
            // Cedar numbers the statements of a text `policy0`, `policy1` and so on.
            let written = PolicyId::new(format!("policy{number}"));
            let statement = statements.next().unwrap_or_default();
            let origin = Origin { document, at: statement.annotation("id") };
            let own = format!("policy{}", self.position + number);
            let written_as = Written { document, statement, is_risk };
            if let Some(policy) = parsed.policy(&written) {
                let id = policy.annotation("id").map_or(own, str::to_owned);
                self.claim(&id, origin)?;
                let policy = policy.new_id(PolicyId::new(&id));
                self.all.add(policy.clone()).map_err(|error| origin.rejects(&error))?;
                self.take(&policy, id, None, &written_as)?;
            } else if let Some(template) = parsed.template(&written) {
                let id = template.annotation("id").map_or(own, str::to_owned);
                self.claim(&id, origin)?;
                self.offer(template.new_id(PolicyId::new(&id)), id, written_as)?;
            }
        }
        self.position += count;
        Ok(())
    }

    /// Cedar's JSON form: a set with its links, or one policy. Ids are as they stand there.
    fn read_json(&mut self, document: &'d Document) -> Result<(), BundleError> {
        let origin = Origin { document, at: 0 };
        let json: serde_json::Value = serde_json::from_str(&document.text).map_err(|error| {
            let at = document.offset(error.line(), error.column());
            BundleError::policies(vec![Diagnosis::new(document, at..at, error.to_string(), SYNTAX)])
        })?;
        let parsed =
            match json.get("effect") {
                Some(_) => Policy::from_json(None, json).map_err(|error| origin.rejects(&error)).and_then(
                    |policy| PolicySet::from_policies([policy]).map_err(|error| origin.rejects(&error)),
                )?,
                None => PolicySet::from_json_value(json).map_err(|error| origin.rejects(&error))?,
            };
        let statement = Statement { range: 0..document.text.len(), ..Statement::default() };
        let written = Written { document, statement, is_risk: false };
        for template in parsed.templates() {
            let id = template.id().to_string();
            self.claim(&id, origin)?;
            self.offer(template.clone(), id, written.clone())?;
        }
        let mut policies: Vec<_> = parsed.policies().cloned().collect();
        policies.sort_by(|left, right| left.id().cmp(right.id()));
        for policy in policies {
            let id = policy.id().to_string();
            self.claim(&id, origin)?;
            match (policy.template_id(), policy.template_links()) {
                (Some(template), Some(slots)) => {
                    let linked = self.all.link(template.clone(), policy.id().clone(), slots);
                    linked.map_err(|error| origin.rejects(&error))?;
                }
                _ => self.all.add(policy.clone()).map_err(|error| origin.rejects(&error))?,
            }
            let template = policy.template_id().map(ToString::to_string);
            self.take(&policy, id, template, &written)?;
        }
        Ok(())
    }

    /// Takes an id, which nothing else may have.
    fn claim(&mut self, id: &str, origin: Origin<'d>) -> Result<(), BundleError> {
        if self.rules == Rules::Bundle && !(1..=MAX_POLICY_ID_BYTES).contains(&id.len()) {
            return Err(BundleError::Unsupported {
                file: origin.place().to_string(),
                what: format!("policy `{id:.32}`"),
                problem: format!("its id has {} bytes: write one of 1 to {MAX_POLICY_ID_BYTES}", id.len()),
            });
        }
        match self.places.insert(id.to_owned(), origin) {
            None => Ok(()),
            Some(first) => Err(BundleError::DuplicateId {
                file: origin.place().to_string(),
                id: id.to_owned(),
                first: first.place().to_string(),
            }),
        }
    }

    fn offer(&mut self, template: Template, id: String, written: Written<'d>) -> Result<(), BundleError> {
        let origin = Origin { document: written.document, at: written.statement.range.start };
        self.all.add_template(template.clone()).map_err(|error| origin.rejects(&error))?;
        self.templates.insert(id, Linkable { template, written, is_linked: false });
        Ok(())
    }

    fn link(&mut self, link: &Link<'d>) -> Result<(), BundleError> {
        let templates: Vec<_> = self.templates.keys().cloned().collect();
        let Some(linkable) = self.templates.get_mut(&link.template_id) else {
            return Err(link.unknown_template(&templates));
        };
        linkable.is_linked = true;
        let slots = link.slots(&linkable.template)?;
        let written = linkable.written.clone();
        let origin = link.origin();
        self.claim(&link.link_id, origin)?;
        let id = PolicyId::new(&link.link_id);
        let linked = self.all.link(PolicyId::new(&link.template_id), id.clone(), slots);
        linked.map_err(|error| link.rejected(&error.to_string()))?;
        match self.all.policy(&id).cloned() {
            Some(policy) => {
                self.take(&policy, link.link_id.clone(), Some(link.template_id.clone()), &written)
            }
            None => Err(link.rejected("Cedar did not link it")),
        }
    }

    /// A template that nothing links would be taken for a policy that is in force.
    fn check_links(&self) -> Result<(), BundleError> {
        let unlinked = self.templates.iter().find(|(_, linkable)| !linkable.is_linked);
        match unlinked.filter(|_| self.rules == Rules::Bundle) {
            None => Ok(()),
            Some((id, linkable)) => Err(unsupported(
                &linkable.written,
                id,
                "a template without links decides nothing: link it in links.json, or take it out",
            )),
        }
    }

    fn take(
        &mut self,
        policy: &Policy,
        id: String,
        template: Option<String>,
        written: &Written<'d>,
    ) -> Result<(), BundleError> {
        let note = note(written, policy, id, template, self.rules)?;
        let expanded = match policy.to_pst() {
            Ok(pst::Policy::Static(policy)) => Ok(policy),
            Ok(pst::Policy::Linked(linked)) => linked.into_static_policy().map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let body = match expanded {
            Ok(policy) => policy.body().clone(),
            // Validation has the better words for it, if it is not all in order there.
            Err(problem) => {
                self.unreadable.get_or_insert(unsupported(written, &note.id, &problem));
                return Ok(());
            }
        };
        self.accepted.push(Accepted { note, body });
        Ok(())
    }
}

impl Origin<'_> {
    fn rejects(&self, error: &dyn miette::Diagnostic) -> BundleError {
        BundleError::policies(Diagnosis::of(error, self.document, self.at, SYNTAX))
    }
}

fn unsupported(written: &Written<'_>, id: &str, problem: &str) -> BundleError {
    BundleError::Unsupported {
        file: written.document.place(written.statement.range.start).to_string(),
        what: format!("policy `{id}`"),
        problem: problem.to_owned(),
    }
}

fn note(
    written: &Written<'_>,
    policy: &Policy,
    id: String,
    template: Option<String>,
    rules: Rules,
) -> Result<PolicyNote, BundleError> {
    let Written { document, statement, is_risk } = written;
    let values: BTreeMap<String, String> =
        policy.annotations().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let of = format!("policy `{id}`");
    let at = |key: &str| document.place(statement.annotation(key));
    let annotations = Annotations { of: &of, values: &values, rules, at: &at };
    let is_forbid = policy.effect() == cedar_policy::Effect::Forbid;
    annotations.only(match (is_risk, is_forbid) {
        (true, _) => &["id", "reason", "advice", "score"],
        (false, true) => &["id", "reason", "advice", "approval"],
        (false, false) => &["id", "reason", "advice"],
    })?;
    let effect = match (is_risk, is_forbid) {
        (false, false) => Effect::Permit,
        (false, true) => Effect::Forbid,
        (true, true) => {
            let problem = "a risk model only permits, for it adds: write it as a permit with its @score, or move it to policies/";
            return Err(unsupported(written, &id, problem));
        }
        (true, false) => match annotations.read("score", "a whole number", score)? {
            Some(score) => Effect::Score(score),
            None => {
                let problem =
                    "a policy of the risk model needs its @score: write what it adds, such as @score(\"30\")";
                return Err(unsupported(written, &id, problem));
            }
        },
    };
    let approval = match effect {
        Effect::Forbid => annotations.read("approval", "a text such as 2 of payments-oncall", approval)?,
        Effect::Permit | Effect::Score(_) => None,
    };
    let part = |range: &Range<usize>| document.text.get(range.clone()).unwrap_or_default().to_owned();
    let clause = |range: &Range<usize>| ClauseNote { place: document.place(range.start), text: part(range) };
    Ok(PolicyNote {
        file: document.name.clone(),
        place: document.place(statement.range.start),
        template,
        filled: filled(policy),
        effect,
        reason: annotations.text("reason").map(str::to_owned),
        advice: annotations.text("advice").map(str::to_owned),
        approval,
        text: part(&statement.range),
        clauses: statement.clauses.iter().map(clause).collect(),
        id,
    })
}

fn filled(policy: &Policy) -> String {
    let slots = policy.template_links().into_iter().flatten();
    let mut slots: Vec<_> = slots.map(|(slot, uid)| format!("{slot} = {uid}")).collect();
    slots.sort();
    slots.join(", ")
}
