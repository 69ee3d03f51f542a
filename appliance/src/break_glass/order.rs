//! Orders and answers: what `assent breakglass` asks of a running appliance, and what it hears, as the control socket has it.

use serde::{Deserialize, Serialize};

use crate::operators::SignatureFile;

/// An entity, by type and id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entity {
    /// Its type's full name.
    pub type_name: String,
    /// Its id.
    pub id: String,
}

/// Which resources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Extent {
    /// All of this type.
    OfType(String),
    /// This one.
    One(Entity),
}

/// Until when a charter is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum NotAfter {
    /// Until then, in milliseconds since 1970.
    At(u64),
    /// For so many milliseconds from when the statement was first asked for.
    In(u64),
}

/// A charter as it is wished for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CharterOrder {
    /// What people call it.
    pub name: String,
    /// Actions, one by one.
    pub actions: Vec<Entity>,
    /// Categories of the catalog, each of which stands for its actions.
    pub categories: Vec<String>,
    /// The resources.
    pub resources: Vec<Extent>,
    /// The agents; none: any.
    pub principals: Vec<String>,
    /// How long, in seconds, the boundary must have been closed.
    pub closed_s: u32,
    /// The longest window of a warrant, in seconds.
    pub window_s: u32,
    /// The most uses of one warrant.
    pub uses: u16,
    /// Key lines of those who sign warrants and reviews.
    pub operators: Vec<String>,
    /// How many of them must sign a warrant.
    pub threshold: u8,
    /// Until when.
    pub not_after: NotAfter,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BreakGlassOrder {
    /// Make a charter; without signatures, tell what is to be signed.
    CharterCreate {
        /// Which.
        charter: Box<CharterOrder>,
        /// Operators' signatures.
        signatures: Vec<SignatureFile>,
    },
    /// List charters.
    CharterList,
    /// Revoke one; without signatures, tell what is to be signed.
    CharterRevoke {
        /// By its name.
        name: String,
        /// Why, in one line.
        reason: String,
        /// Operators' signatures.
        signatures: Vec<SignatureFile>,
    },
    /// Make a key for a warrant, and tell what is to be signed.
    WarrantPrepare {
        /// The charter, by its name.
        charter: String,
        /// Why, in one line.
        reason: String,
        /// How many uses.
        uses: u16,
        /// How long from now, in seconds.
        window_s: u32,
    },
    /// Activate a warrant that was prepared.
    WarrantActivate {
        /// What operators signed.
        statement: String,
        /// Their signatures.
        signatures: Vec<SignatureFile>,
    },
    /// List warrants, with those that are prepared.
    WarrantList,
    /// What executors need of the warrant that lives.
    WarrantExport,
    /// End the warrant that lives.
    WarrantEnd {
        /// Only if it is the one that was activated at this leaf.
        #[serde(default)]
        leaf: Option<u64>,
        /// Why, in one line.
        reason: String,
    },
    /// List uses and their reviews.
    ReviewList,
    /// One use, with all that the log holds of it.
    ReviewShow {
        /// The use's leaf.
        leaf: u64,
    },
    /// Review a use; without a signature, tell what is to be signed.
    ReviewClose {
        /// The use's leaf.
        leaf: u64,
        /// What was found.
        justified: bool,
        /// Why, in one line.
        text: String,
        /// The reviewer's signature.
        signatures: Vec<SignatureFile>,
    },
}

/// A charter, as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CharterView {
    /// What it is called.
    pub name: String,
    /// Where it is in the log.
    pub leaf: u64,
    /// `in_force`, `uncovered`, `revoked` or `over`.
    pub state: String,
    /// Its actions.
    pub actions: Vec<String>,
    /// Its resources.
    pub resources: Vec<String>,
    /// Its agents; none: any.
    pub principals: Vec<String>,
    /// How long the boundary must have been closed, in seconds.
    pub closed_s: u32,
    /// The longest window of a warrant, in seconds.
    pub window_s: u32,
    /// The most uses of one warrant.
    pub uses: u16,
    /// Names of those who sign warrants and reviews.
    pub operators: Vec<String>,
    /// How many of them must sign a warrant.
    pub threshold: u8,
    /// Until when it is in force, in milliseconds since 1970.
    pub not_after_ms: u64,
    /// Who ordered it.
    pub by: Vec<String>,
}

/// A warrant, as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarrantView {
    /// Where it is in the log; none: it waits for its signatures.
    pub leaf: Option<u64>,
    /// Its charter's name.
    pub charter: String,
    /// `prepared`, `active`, `used_up`, `ended` or `over`.
    pub state: String,
    /// How many uses it has.
    pub uses: u16,
    /// How many of them were made.
    pub used: u16,
    /// Since when it lives, in milliseconds since 1970.
    pub not_before_ms: u64,
    /// Until when, in milliseconds since 1970.
    pub not_after_ms: u64,
    /// Why.
    pub reason: String,
    /// Who signed it.
    pub by: Vec<String>,
    /// Its key, in hexadecimal.
    pub key: String,
}

/// A use of a warrant, as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewView {
    /// The use's leaf.
    pub leaf: u64,
    /// The warrant's.
    pub warrant: u64,
    /// Which use it is.
    pub number: u16,
    /// When, in milliseconds since 1970.
    pub time_ms: u64,
    /// Whose.
    pub principal: String,
    /// What was done.
    pub action: String,
    /// With what.
    pub resource: String,
    /// Where its review is in the log; none: it has none.
    pub review: Option<u64>,
    /// By when it is to be reviewed, in milliseconds since 1970.
    pub due_ms: u64,
}

/// A use with all that the log holds of it, as whoever reviews it sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UseView {
    /// The use.
    #[serde(rename = "use")]
    pub used: ReviewView,
    /// What was allowed; none where its entry cannot be read.
    pub allowed: Option<AllowedView>,
    /// Why something of it is not shown; none where all of it is.
    pub missing: Option<String>,
    /// The warrant, with its reason and who signed it.
    pub warrant: Option<WarrantView>,
    /// The charter that it was signed under. An appliance of before an upgrade in place does not say.
    #[serde(default)]
    pub charter: Option<CharterView>,
    /// What its review says; none where it has none.
    pub found: Option<FoundView>,
}

/// What a use allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowedView {
    /// Who was to accept the token.
    pub audience: String,
    /// The intent digest.
    pub digest: String,
    /// The bundle that decided.
    pub bundle: String,
    /// The risk at which it was allowed.
    pub risk: i64,
    /// The policies that allowed it.
    pub policies: Vec<String>,
    /// From when it could be done, in milliseconds since 1970.
    pub not_before_ms: u64,
    /// Until when, in milliseconds since 1970.
    pub not_after_ms: u64,
    /// The whole intent, as agents write it; none where it cannot be shown.
    pub intent: Option<serde_json::Value>,
}

/// What a review says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundView {
    /// `justified` or `unjustified`.
    pub finding: String,
    /// Why.
    pub text: String,
    /// Who says so.
    pub by: String,
    /// When, in milliseconds since 1970.
    pub time_ms: u64,
}

/// What executors need to believe a warrant: the origin, and two proofs as C2SP has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarrantProofs {
    /// The log's origin.
    pub origin: String,
    /// Of the charter, under a checkpoint that the HSM signed.
    pub charter: String,
    /// Of the warrant, under a checkpoint that its own key signed.
    pub warrant: String,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakGlassAnswer {
    /// This is to be signed by so many operators.
    ToSign {
        /// In which namespace.
        namespace: String,
        /// The statement, byte for byte.
        statement: String,
        /// Who may sign it.
        operators: Vec<String>,
        /// How many of them must.
        threshold: usize,
        /// The use that a review is of, for whoever signs to see; none where something else is to be signed.
        used: Option<Box<UseView>>,
    },
    /// It is in the log, durably.
    Done {
        /// Where.
        leaf: u64,
        /// Who signed or ordered it.
        by: Vec<String>,
    },
    /// The warrant lives.
    Active {
        /// It.
        warrant: Box<WarrantView>,
        /// What executors need.
        proofs: WarrantProofs,
    },
    /// Charters.
    Charters(Vec<CharterView>),
    /// Warrants.
    Warrants(Vec<WarrantView>),
    /// Uses.
    Reviews {
        /// The uses, oldest first; those without a review before the others.
        uses: Vec<ReviewView>,
        /// How many more there are.
        left_out: u64,
    },
    /// One use.
    Use(Box<UseView>),
    /// Nothing was changed.
    Refused {
        /// What is missing, and what to do.
        reason: String,
        /// Whether signatures are wrong or missing.
        invalid: bool,
    },
}
