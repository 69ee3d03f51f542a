//! Transient types: which policies ask whether one of them is `in` something, and are rejected for it.
//!
//! Attributes of entities and literals cannot be asked at all, for Cedar's level rules that out. What the types of a request
//! environment rule out beforehand is not asked, so it may stand.

use assent_compiler::{Bundle, Document, Rules, Sources};

const CATALOG: &str = r#"
entity Folder in [Folder];
entity Agent { home: Folder, last?: Url };
entity Doc in [Folder] { source: Url };
@transient entity File;
@transient entity Url;
type Where = { file: File, folder: Folder, urls: Set<Url> };
action read appliesTo { principal: [Agent], resource: [File, Doc], context: { at: Where, force: Bool } };
action fetch appliesTo { principal: [Agent], resource: [Url], context: { force: Bool } };
action keep appliesTo { principal: [Agent], resource: [Doc], context: { at: Where } };
"#;

fn compile(policy: &str) -> Result<(), String> {
    let sources = Sources {
        catalog: Document::new("catalog.cedarschema", CATALOG),
        policies: vec![Document::new("policies/p.cedar", policy)],
        risk: Vec::new(),
        links: None,
        operators: None,
        entities: vec![Document::new("entities.json", "[]")],
        tests: Vec::new(),
        rules: Rules::Bundle,
    };
    Bundle::compile(sources).map(drop).map_err(|error| error.report())
}

const REJECTED: &[(&str, &str)] = &[
    ("forbid (principal, action == Action::\"fetch\", resource in Url::\"x\");", "the resource"),
    ("forbid (principal, action == Action::\"fetch\", resource is Url in Url::\"x\");", "the resource"),
    (
        "forbid (principal, action == Action::\"read\", resource) when { resource in File::\"x\" };",
        "the resource",
    ),
    (
        "forbid (principal, action == Action::\"read\", resource) when { resource is File in File::\"x\" };",
        "the resource",
    ),
    (
        "forbid (principal, action == Action::\"read\", resource) unless { context.at.file in File::\"x\" };",
        "an attribute",
    ),
    (
        "forbid (principal, action == Action::\"read\", resource) when { if context.force then context.at.file in File::\"x\" else false };",
        "an attribute",
    ),
    (
        "forbid (principal, action == Action::\"read\", resource) when { (if context.force then context.at.file else context.at.file) in File::\"x\" };",
        "an attribute",
    ),
];

const ACCEPTED: &[&str] = &[
    "forbid (principal, action == Action::\"keep\", resource in Folder::\"x\");",
    "permit (principal, action == Action::\"read\", resource is Doc in Folder::\"x\");",
    "permit (principal, action, resource in Folder::\"x\");",
    "permit (principal, action == Action::\"read\", resource) when { resource is Doc && resource in Folder::\"x\" };",
    "permit (principal, action == Action::\"read\", resource) when { context.force || (resource is Doc && resource in Folder::\"x\") };",
    "permit (principal, action == Action::\"read\", resource) when { context.force || resource is Doc in Folder::\"x\" };",
    "permit (principal, action == Action::\"read\", resource) when { context.at.folder in principal.home };",
    "permit (principal, action == Action::\"read\", resource) when { context.at.file == File::\"x\" };",
    "permit (principal, action == Action::\"read\", resource) when { context.at.urls.contains(Url::\"x\") };",
    "permit (principal, action == Action::\"fetch\", resource == Url::\"x\");",
];

#[test]
fn a_policy_that_asks_whether_something_transient_is_in_something_is_rejected() {
    for (policy, tested) in REJECTED {
        match compile(policy) {
            Ok(()) => panic!("accepted: {policy}"),
            Err(report) => {
                let said = format!("tests `in` on {tested}, which is of the transient type ");
                assert!(
                    report.starts_with("policies/p.cedar:1:") && report.contains(&said),
                    "{policy}\n{report}"
                );
            }
        }
    }
}

#[test]
fn what_the_types_rule_out_and_what_is_not_in_may_stand() {
    for policy in ACCEPTED {
        if let Err(report) = compile(policy) {
            panic!("rejected: {policy}\n{report}");
        }
    }
}
