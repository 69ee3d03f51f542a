//! Storage: the tables as the evaluator reads them.

use super::{Side, Tables};
use assent_evaluator::{Image, Names, ScopeIndex, Snapshot, Storage};

impl Side {
    fn index(&self) -> ScopeIndex<'_> {
        ScopeIndex {
            unnamed: &self.unnamed,
            by_type: &self.by_type,
            equal: &self.equal,
            within: &self.within,
        }
    }
}

impl Storage for Tables {
    fn image(&self) -> Image<'_> {
        let [forbids, approvals, scores] = &self.masks;
        Image {
            text: &self.image.text,
            elements: &self.image.elements,
            fields: &self.image.fields,
            addresses: &self.image.addresses,
            constants: &self.constants,
            code: &self.code,
            patterns: &self.patterns,
            parts: &self.parts,
            paths: &self.paths,
            path_names: &self.path_names,
            policies: &self.policies,
            forbids,
            approvals,
            scores,
            has_scores: scores.iter().any(|word| *word != 0),
            names: Names { rows: &self.name_rows, slots: &self.name_slots },
            types: Names { rows: &self.type_names, slots: &self.type_slots },
            type_rows: &self.type_rows,
            shapes: &self.shapes,
            attributes: &self.attributes,
            actions: &self.actions,
            applies_to: &self.applies_to,
            literals: &self.literals,
            anchors: &self.anchors,
            action_scopes: &self.action_scopes,
            environment_scopes: &self.environment_scopes,
            environment_programs: &self.environment_programs,
            programs: &self.programs,
            principals: self.principals.index(),
            resources: self.resources.index(),
            facts: self.facts,
            budget: self.budget,
        }
    }

    fn snapshot(&self) -> Snapshot<'_> {
        Snapshot {
            text: &self.snapshot.text,
            elements: &self.snapshot.elements,
            attributes: &self.entity_attributes,
            fields: &self.snapshot.fields,
            addresses: &self.snapshot.addresses,
            entities: &self.entities,
            slots: &self.slots,
            ancestors: &self.ancestors,
            anchors: &self.entity_anchors,
            tags: &self.tags,
        }
    }
}
