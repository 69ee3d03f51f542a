//! Declarations: where the types, actions and attributes of a catalog stand, with their annotations.
//!
//! The rule it keeps: it finds places for messages and decides nothing; what a catalog means, Cedar says. What it does not
//! find has the place of the file's beginning.

use crate::bundle::Document;
use crate::place::Place;
use crate::token::{Kind, Token, tokens};

/// What is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Declared {
    Namespace,
    EntityType,
    CommonType,
    Action,
    /// Found only where it is annotated.
    Attribute,
}

/// A declaration as it stands in the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Declaration {
    declared: Declared,
    /// What it declares, with its namespace where it is not an attribute.
    names: Vec<String>,
    start: usize,
    annotations: Vec<(String, usize)>,
}

/// All declarations of a catalog.
#[derive(Debug)]
pub(crate) struct Declarations<'d> {
    document: &'d Document,
    found: Vec<Declaration>,
}

impl<'d> Declarations<'d> {
    pub(crate) fn of(document: &'d Document) -> Self {
        let mut scan =
            Scan { text: &document.text, found: Vec::new(), pending: Vec::new(), within: Vec::new() };
        scan.run(&tokens(&document.text));
        Self { document, found: scan.found }
    }

    /// Where something is declared.
    pub(crate) fn place(&self, declared: Declared, name: &str) -> Place {
        self.document.place(self.find(declared, name).map_or(0, |found| found.start))
    }

    /// Where an annotation of something stands.
    pub(crate) fn annotation(&self, declared: Declared, name: &str, key: &str) -> Place {
        // An attribute's name may occur in several types: the one with the annotation is meant.
        let named = self.found.iter().filter(|found| found.declares(declared, name));
        let at = named.flat_map(|found| &found.annotations).find(|(known, _)| known == key);
        match at {
            Some((_, at)) => self.document.place(*at),
            None => self.place(declared, name),
        }
    }

    /// Where the action of an id is declared, whatever its namespace.
    pub(crate) fn action(&self, id: &str) -> Option<Place> {
        let is_it = |found: &&Declaration| {
            found.declared == Declared::Action
                && found.names.iter().any(|name| name == id || name.ends_with(&format!("::{id}")))
        };
        self.found.iter().find(is_it).map(|found| self.document.place(found.start))
    }

    fn find(&self, declared: Declared, name: &str) -> Option<&Declaration> {
        self.found.iter().find(|found| found.declares(declared, name))
    }
}

impl Declaration {
    fn declares(&self, declared: Declared, name: &str) -> bool {
        self.declared == declared && self.names.iter().any(|known| known == name)
    }
}

struct Scan<'t> {
    text: &'t str,
    found: Vec<Declaration>,
    pending: Vec<(String, usize)>,
    /// Namespaces that are open: at which depth their content stands, and their names.
    within: Vec<(isize, String)>,
}

impl Scan<'_> {
    fn run(&mut self, tokens: &[Token]) {
        let (mut depth, mut at, mut begins) = (0_isize, 0, true);
        while let Some(token) = tokens.get(at) {
            let rest = tokens.get(at + 1..).unwrap_or_default();
            let is_outside = depth == self.within.last().map_or(0, |(depth, _)| *depth);
            if token.is_sign('@') {
                at += 1 + self.annotation(token, rest);
                continue;
            }
            depth += token.nesting();
            if let Some(declared) = self.keyword(token).filter(|_| is_outside && begins) {
                let names = self.names(rest, declared);
                if let (Declared::Namespace, Some(name)) = (declared, names.first()) {
                    self.within.push((depth + 1, name.clone()));
                }
                self.declare(declared, names, token.range.start);
                begins = declared == Declared::Namespace;
            } else {
                if token.kind != Kind::Sign(';') && !self.pending.is_empty() {
                    let name = token.name(self.text).to_owned();
                    self.declare(Declared::Attribute, vec![name], token.range.start);
                }
                let closes = token.is_sign('}') && self.within.last().is_some_and(|(open, _)| depth < *open);
                if closes {
                    self.within.pop();
                }
                // The path of a namespace and its brace stand before the first declaration within.
                begins = token.is_sign(';') || closes || (begins && !token.is_sign('='));
            }
            at += 1;
        }
    }

    fn keyword(&self, token: &Token) -> Option<Declared> {
        match token.of(self.text) {
            "namespace" => Some(Declared::Namespace),
            "entity" => Some(Declared::EntityType),
            "type" => Some(Declared::CommonType),
            "action" => Some(Declared::Action),
            _ => None,
        }
    }

    /// Notes an annotation, and tells how many tokens stand behind its `@`.
    fn annotation(&mut self, sign: &Token, rest: &[Token]) -> usize {
        let Some(key) = rest.first() else { return 0 };
        self.pending.push((key.of(self.text).to_owned(), sign.range.start));
        let has_value = rest.get(1).is_some_and(|token| token.is_sign('('));
        if has_value { 4 } else { 1 }
    }

    /// The names behind a keyword: several with commas, or one path.
    fn names(&self, rest: &[Token], declared: Declared) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        let mut continues = false;
        for token in rest {
            match token.kind {
                Kind::Word | Kind::Text if continues => {
                    if let Some(name) = names.last_mut() {
                        name.push_str(token.name(self.text));
                    }
                    continues = false;
                }
                Kind::Word
                    if !names.is_empty()
                        && matches!(token.of(self.text), "in" | "enum" | "tags" | "appliesTo") =>
                {
                    break;
                }
                Kind::Word | Kind::Text => names.push(token.name(self.text).to_owned()),
                Kind::Sign(':') => {
                    if let Some(name) = names.last_mut() {
                        name.push(':');
                        continues = name.ends_with("::");
                    }
                }
                Kind::Sign(',') => {}
                Kind::Sign(_) => break,
            }
        }
        match self.within.last().filter(|_| declared != Declared::Namespace) {
            Some((_, namespace)) => names.into_iter().map(|name| format!("{namespace}::{name}")).collect(),
            None => names,
        }
    }

    fn declare(&mut self, declared: Declared, names: Vec<String>, start: usize) {
        let annotations = std::mem::take(&mut self.pending);
        self.found.push(Declaration { declared, names, start, annotations });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CATALOG: &str = "@doc(\"all\") namespace Shop {\n  entity Team;\n  @transient\n  entity File, Url;\n\
        type Facts = { @doc(\"x\") now: datetime, type: Long };\n  action \"group\";\n\
        @risk(\"4\") @uses(\"2\")\n  action open, \"close it\" in [\"group\"] appliesTo { principal: Team, resource: File, context: Facts };\n}\n\
        entity Other = { entity: Long };";

    #[test]
    fn declarations_are_found_with_their_annotations() {
        let document = Document::new("c", CATALOG);
        let declarations = Declarations::of(&document);
        let line = |place: Place| place.line;
        assert_eq!(line(declarations.place(Declared::EntityType, "Shop::Team")), 2);
        assert_eq!(line(declarations.annotation(Declared::EntityType, "Shop::Url", "transient")), 3);
        assert_eq!(line(declarations.place(Declared::EntityType, "Shop::Url")), 4);
        assert_eq!(line(declarations.annotation(Declared::Attribute, "now", "doc")), 5);
        assert_eq!(line(declarations.place(Declared::Action, "Shop::group")), 6);
        assert_eq!(line(declarations.annotation(Declared::Action, "Shop::close it", "uses")), 7);
        assert_eq!(line(declarations.place(Declared::Action, "Shop::open")), 8);
        assert_eq!(line(declarations.place(Declared::EntityType, "Other")), 10);
        assert_eq!(declarations.action("open").map(line), Some(8));
    }

    #[test]
    fn what_is_not_found_stands_at_the_beginning() {
        let document = Document::new("c", CATALOG);
        assert_eq!(Declarations::of(&document).place(Declared::Action, "nothing").to_string(), "c:1:1");
    }
}
