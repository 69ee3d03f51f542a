//! The compiler: a bundle of Cedar text in, an image for the evaluator out.
//!
//! The rule it keeps: what cedar-policy does not parse and validate strictly is rejected with Cedar's own diagnostic, and
//! what the evaluator could not reproduce exactly is rejected too. This is the only crate that names cedar-policy, and
//! nothing of it is on the serving path. Watching, signing and swapping of bundles are the appliance's.
//!
//! Design: `appliance/DESIGN.md`, "Policies".

mod annotation;
mod answer;
mod bundle;
mod catalog;
mod clause;
mod conformance;
mod constant;
mod cost;
mod declaration;
mod diagnosis;
mod difference;
mod environment;
mod error;
mod explanation;
mod expression;
mod file;
mod folder;
mod folding;
mod image;
mod json;
mod layout;
mod links;
mod literal;
mod nesting;
mod parts;
mod place;
mod policy;
mod schema;
mod scope;
mod snapshot;
mod stack;
mod statement;
mod table;
mod token;
mod transience;
mod trial;
mod validation;

pub use answer::{Answer, AnswerError};
pub use bundle::{Bundle, Document, Rules, Sources};
pub use catalog::{Action, Catalog};
pub use difference::{ActionChange, Changes, Difference};
pub use error::BundleError;
pub use explanation::{Explanation, FailedClause, Finding, Found};
pub use file::BundleFile;
pub use nesting::{MAX_NESTING, MAX_OPERATORS, STACK_BYTES};
pub use place::Place;
pub use policy::{Approval, ClauseNote, PolicyNote};
pub use trial::Trial;
