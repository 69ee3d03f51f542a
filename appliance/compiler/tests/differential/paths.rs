//! Paths: what a policy can read in all the request environments that it applies to.
//!
//! A path that is not there in all of them, or optional in one, has a guard: strict validation takes it behind `has`.
//! One whose type differs between environments cannot be read at all until `is` or `==` narrows them.

use crate::schema::{Attribute, Catalog, Kind};

/// Types of principal and resource, and the action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Environment {
    pub(crate) principal: usize,
    pub(crate) action: usize,
    pub(crate) resource: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Path {
    pub(crate) text: String,
    pub(crate) kind: Kind,
    /// What must hold before it may be read.
    pub(crate) guard: Option<String>,
    /// The variable and the attributes that lead here, where an extended `has` can name them all.
    pub(crate) chain: Option<(String, Vec<&'static str>)>,
}

/// All environments of a catalog.
pub(crate) fn environments(catalog: &Catalog) -> Vec<Environment> {
    let actions = catalog.actions.iter().enumerate();
    let all = actions.flat_map(|(action, row)| {
        row.principals.iter().flat_map(move |principal| {
            let of =
                move |resource: &usize| Environment { principal: *principal, action, resource: *resource };
            row.resources.iter().map(of)
        })
    });
    all.collect()
}

fn distinct(of: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut all: Vec<_> = of.collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// `.name`, or in brackets where it is no identifier.
pub(crate) fn access(name: &str) -> String {
    if name.contains(' ') { format!("[\"{name}\"]") } else { format!(".{name}") }
}

/// The name as `has` takes it.
pub(crate) fn named(name: &str) -> String {
    if name.contains(' ') { format!("\"{name}\"") } else { name.to_owned() }
}

/// Every path within so many steps from entity to entity.
pub(crate) fn paths(catalog: &Catalog, environments: &[Environment], steps: usize) -> Vec<Path> {
    let mut search = Search { catalog, found: Vec::new() };
    let principals = distinct(environments.iter().map(|environment| environment.principal));
    let resources = distinct(environments.iter().map(|environment| environment.resource));
    for (variable, types) in [("principal", principals), ("resource", resources)] {
        let rows: Vec<_> = types.iter().map(|kind| catalog.types[*kind].attributes.as_slice()).collect();
        if let [only] = types.as_slice() {
            let path =
                Path { text: variable.to_owned(), kind: Kind::Entity(*only), guard: None, chain: None };
            search.found.push(path);
        }
        search.variable(variable, &rows, steps);
    }
    let actions = distinct(environments.iter().map(|environment| environment.action));
    let rows: Vec<_> = actions.iter().map(|action| catalog.actions[*action].context.as_slice()).collect();
    search.variable("context", &rows, steps + 1);
    search.found
}

struct Search<'c> {
    catalog: &'c Catalog,
    found: Vec<Path>,
}

impl Search<'_> {
    /// What a variable has in all of its types.
    fn variable(&mut self, variable: &str, rows: &[&[Attribute]], steps: usize) {
        let root = Path {
            text: variable.to_owned(),
            kind: Kind::Bool,
            guard: None,
            chain: Some((variable.to_owned(), Vec::new())),
        };
        let names = rows.iter().flat_map(|row| row.iter()).map(|attribute| attribute.name);
        let mut names: Vec<_> = names.collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let of = |row: &&[Attribute]| row.iter().find(|attribute| attribute.name == name).cloned();
            let there: Vec<_> = rows.iter().filter_map(of).collect();
            let is_one = there.iter().all(|attribute| attribute.kind == there[0].kind);
            if is_one {
                let is_required =
                    there.len() == rows.len() && there.iter().all(|attribute| attribute.is_required);
                let attribute = Attribute { is_required, ..there[0].clone() };
                self.step(&root, &attribute, steps.saturating_sub(1));
            }
        }
    }

    fn step(&mut self, from: &Path, attribute: &Attribute, steps: usize) {
        let Attribute { name, kind, is_required } = attribute;
        let test = format!("{} has {}", from.text, named(name));
        let guard = match (&from.guard, is_required) {
            (guard, true) => guard.clone(),
            (None, false) => Some(test),
            (Some(before), false) => Some(format!("{before} && {test}")),
        };
        let chain = from.chain.clone().filter(|_| !name.contains(' ')).map(|(variable, mut chain)| {
            chain.push(name);
            (variable, chain)
        });
        let path = Path { text: format!("{}{}", from.text, access(name)), kind: kind.clone(), guard, chain };
        match kind {
            Kind::Record(fields) => fields.iter().for_each(|field| self.step(&path, field, steps)),
            Kind::Entity(place) if steps > 0 => {
                let fields = &self.catalog.types[*place].attributes;
                fields.iter().for_each(|field| self.step(&path, field, steps - 1));
            }
            _ => {}
        }
        self.found.push(path);
    }
}
