//! Conditions: boolean expressions, every operator among them, and the tests that narrow the request environments.

use crate::dice::{HUGE_LONGS, HUGE_WAITS, PATTERNS};
use crate::expressions::Writer;
use crate::paths::Path;
use crate::schema::{Kind, URL};

impl Writer<'_, '_> {
    /// A boolean expression; deep ones are in parentheses.
    pub(crate) fn test(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.plain(0);
        }
        let next = depth - 1;
        match self.dice.below(12) {
            0 | 1 => format!("({} && {})", self.test(next), self.test(next)),
            2 | 3 => format!("({} || {})", self.test(next), self.test(next)),
            4 => format!("!({})", self.test(next)),
            5 => format!("(if {} then {} else {})", self.test(next), self.test(next), self.test(next)),
            6 | 7 => self.narrow(next),
            _ => self.plain(next),
        }
    }

    /// A test that holds in some environments only, and what may be read behind it.
    fn narrow(&mut self, depth: usize) -> String {
        let environment = self.dice.pick(&self.environments.clone());
        let (principal, resource) = (environment.principal, environment.resource);
        match self.dice.below(5) {
            0 => {
                let test = format!("principal is {}", self.catalog.name(principal));
                let inside = self.narrowed(|all| all.principal == principal, |it| it.test(depth));
                format!("({test} && {inside})")
            }
            1 => {
                let test = format!("resource is {}", self.catalog.name(resource));
                let inside = self.narrowed(|all| all.resource == resource, |it| it.test(depth));
                let outside = match self.environments.iter().all(|all| all.resource == resource) {
                    true => self.test(depth),
                    false => self.narrowed(|all| all.resource != resource, |it| it.test(depth)),
                };
                format!("(if {test} then {inside} else {outside})")
            }
            2 => {
                let test = format!("action == {}", self.catalog.action(environment.action));
                let inside = self.narrowed(|all| all.action == environment.action, |it| it.test(depth));
                format!("({test} && {inside})")
            }
            3 => {
                let groups = self.catalog.actions[environment.action].groups.clone();
                let above = self.dice.pick(&[groups, vec![environment.action]].concat());
                let test = format!("action in {}", self.catalog.action(above));
                let catalog = self.catalog;
                let inside = self.narrowed(|all| catalog.is_within(all.action, above), |it| it.test(depth));
                format!("({test} && {inside})")
            }
            _ => {
                let test =
                    format!("principal is {} in {}", self.catalog.name(principal), self.above(principal));
                let inside = self.narrowed(|all| all.principal == principal, |it| it.test(depth));
                format!("({test} && {inside})")
            }
        }
    }

    /// An entity that one of this type can lie below, or be.
    pub(crate) fn above(&mut self, below: usize) -> String {
        let can = |above: &usize| self.catalog.can_be_in(below, *above);
        let types: Vec<_> = (0..self.catalog.types.len()).filter(can).collect();
        let place = self.dice.pick(&types);
        self.entity(place)
    }

    /// A test without a connective of its own.
    fn plain(&mut self, depth: usize) -> String {
        match self.dice.below(20) {
            0..=2 => self.order(depth),
            3 | 4 => {
                let kind = self.some_kind();
                let operator = self.dice.pick(&["==", "!="]);
                format!("{} {operator} {}", self.value(&kind, depth), self.value(&kind, depth))
            }
            5 => format!("{} like \"{}\"", self.value(&Kind::String, depth), self.dice.pick(PATTERNS)),
            6 => {
                let names = ["lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual"];
                let (left, right) = (self.value(&Kind::Decimal, depth), self.value(&Kind::Decimal, depth));
                format!("{left}.{}({right})", self.dice.pick(&names))
            }
            7 => self.address(depth),
            8..=10 => self.hierarchy(depth),
            11..=13 => self.set(depth),
            14 => self.has(),
            15 => self.has_tag(),
            16 | 17 => self.guarded(depth),
            18 => self.value(&Kind::Bool, depth),
            _ => self.same(),
        }
    }

    fn order(&mut self, depth: usize) -> String {
        let kind = self.dice.pick(&[Kind::Long, Kind::Long, Kind::Datetime, Kind::Duration]);
        let operator = self.dice.pick(&["<", "<=", ">", ">="]);
        format!("{} {operator} {}", self.value(&kind, depth.max(1)), self.value(&kind, depth))
    }

    /// Arithmetic that leaves 64 bits for many values of what it reads.
    pub(crate) fn overflow(&mut self) -> String {
        let (value, huge) = (self.value(&Kind::Long, 1), self.dice.pick(HUGE_LONGS));
        let operator = self.dice.pick(&["+", "-", "*"]);
        let date = self.value(&Kind::Datetime, 0);
        let tests = [
            format!("({value} {operator} {huge}) > {}", self.value(&Kind::Long, 0)),
            format!("-({value} {operator} {huge}) <= 0"),
            format!("{date}.offset(duration(\"{}\")) < {date}", self.dice.pick(HUGE_WAITS)),
        ];
        self.dice.pick(&tests)
    }

    fn address(&mut self, depth: usize) -> String {
        let address = self.value(&Kind::Ip, depth);
        match self.dice.below(5) {
            0 | 1 => format!("{address}.isInRange({})", self.value(&Kind::Ip, depth)),
            2 => format!("{address}.{}()", self.dice.pick(&["isIpv4", "isIpv6"])),
            _ => format!("{address}.{}()", self.dice.pick(&["isLoopback", "isMulticast"])),
        }
    }

    /// `in` and `is`. Nothing is asked of transient entities, which lie below nothing.
    fn hierarchy(&mut self, depth: usize) -> String {
        let is_listed = |path: &Path| matches!(path.kind, Kind::Entity(place) if place != URL);
        let Some(path) = self.path(is_listed) else { return self.order(depth) };
        let Kind::Entity(place) = path.kind else { return self.order(depth) };
        let of = match self.guard(&path) {
            None => path.text.clone(),
            Some(guard) => format!("(if {guard} then {} else {})", path.text, self.entity(place)),
        };
        match self.dice.below(6) {
            0 => format!("{of} in {}", self.above(place)),
            1 => {
                let can = |above: &usize| self.catalog.can_be_in(place, *above);
                let types: Vec<_> = (0..self.catalog.types.len()).filter(can).collect();
                let above = self.dice.pick(&types);
                let several = self.dice.between(1, 3);
                let elements: Vec<_> = (0..several).map(|_| self.entity(above)).collect();
                format!("{of} in [{}]", elements.join(", "))
            }
            2 => format!("{of} in {}", self.value(&Kind::Set(Box::new(Kind::Entity(place))), depth.min(2))),
            3 => format!("{of} is {}", self.catalog.name(place)),
            4 => format!("{of} is {} in {}", self.catalog.name(place), self.above(place)),
            _ => format!("{of} == {}", self.value(&Kind::Entity(place), depth)),
        }
    }

    fn set(&mut self, depth: usize) -> String {
        let is_set = |path: &Path| matches!(path.kind, Kind::Set(_)) && path.kind.is_writable();
        let kind = self.path(is_set).map_or(Kind::Set(Box::new(Kind::Long)), |path| path.kind);
        let of = self.value(&kind, depth.max(1));
        let Kind::Set(element) = &kind else { return of };
        match self.dice.below(6) {
            0 => format!("{of}.isEmpty()"),
            1 | 2 => format!("{of}.contains({})", self.value(element, depth)),
            _ => {
                let name = self.dice.pick(&["containsAll", "containsAny", "containsAny"]);
                format!("{of}.{name}({})", self.value(&kind, depth))
            }
        }
    }

    fn has_tag(&mut self) -> String {
        let catalog = self.catalog;
        let is_tagged = |path: &Path| {
            let tags = |place: usize| catalog.types[place].tags.as_ref();
            matches!(path.kind, Kind::Entity(place) if tags(place).is_some_and(Kind::is_writable))
        };
        let Some(path) = self.path(|path| path.guard.is_none() && is_tagged(path)) else { return self.has() };
        let Kind::Entity(place) = path.kind else { return self.has() };
        let Some(kind) = catalog.types[place].tags.clone() else { return self.has() };
        let (of, key) = (path.text, self.value(&Kind::String, 0));
        match self.dice.below(3) {
            0 => format!("{of}.hasTag({key})"),
            _ => format!("({of}.hasTag({key}) && {of}.getTag({key}) == {})", self.value(&kind, 1)),
        }
    }

    /// What is optional, read behind its guard.
    fn guarded(&mut self, depth: usize) -> String {
        let Some(path) = self.path(|path| path.guard.is_some() && path.kind.is_writable()) else {
            return self.has();
        };
        let guard = self.guard(&path).unwrap_or_default();
        let other = self.value(&path.kind, depth);
        let operator = self.dice.pick(&["==", "!="]);
        match self.dice.below(2) {
            0 => format!("({guard} && {} {operator} {other})", path.text),
            _ => format!("(!({guard}) || {} {operator} {other})", path.text),
        }
    }

    /// Two paths of one type, whatever it is: records with optional attributes among them.
    fn same(&mut self) -> String {
        let Some(left) = self.path(|path| path.guard.is_none()) else { return self.has() };
        let right = self.path(|path| path.guard.is_none() && path.kind == left.kind);
        let operator = self.dice.pick(&["==", "!="]);
        format!("{} {operator} {}", left.text, right.map_or(left.text.clone(), |right| right.text))
    }
}
