//! The compiler: a bundle of Cedar text in, an image for the evaluator out.
//!
//! The rule it keeps: what cedar-policy does not parse and validate strictly is rejected with Cedar's own diagnostic, and
//! what the evaluator could not reproduce exactly is rejected too. This is the only crate that names cedar-policy, and
//! nothing of it is on the serving path. Watching, signing and swapping of bundles are the appliance's.
//!
//! Design: policy.md.

mod annotation;
mod answer;
mod bundle;
mod catalog;
mod constant;
mod cost;
mod environment;
mod error;
mod expression;
mod folder;
mod image;
mod literal;
mod policy;
mod schema;
mod scope;
mod snapshot;
mod table;
mod trial;

pub use answer::{Answer, AnswerError};
pub use bundle::{Bundle, Document, Rules, Sources};
pub use catalog::{Action, Catalog};
pub use error::BundleError;
pub use policy::{Approval, PolicyNote};
pub use trial::Trial;
