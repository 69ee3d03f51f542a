//! Stack: the greatest height that each policy's program can reach.
//!
//! The rule it keeps: it follows programs that the verifier took, in which the height is the same on every way to an
//! instruction, so one pass is exact.

#![expect(clippy::wildcard_enum_match_arm, reason = "most instructions neither jump nor gather")]

use assent_evaluator::{Instruction, Range, View};
use std::collections::HashMap;

/// The greatest height of each policy, by index: in general, and in every environment.
pub(crate) fn heights(view: &View<'_>) -> Vec<usize> {
    let image = view.image();
    let gathered = |instruction: &Instruction| match *instruction {
        Instruction::SetOf(elements) => Some(elements as usize),
        Instruction::RecordOf(path) => image.paths.get(path as usize).map(|range| range.length as usize),
        _ => None,
    };
    let of = |code: Range| height(code.of(image.code).unwrap_or_default(), &gathered);
    let specialised: Vec<_> = image.programs.iter().map(|program| of(program.code)).collect();
    let mut heights: Vec<_> = image.policies.iter().map(|policy| of(policy.code)).collect();
    for row in image.environment_programs.chunks(image.policies.len().max(1)) {
        for (known, number) in heights.iter_mut().zip(row) {
            *known = specialised.get(*number as usize).map_or(*known, |height| (*known).max(*height));
        }
    }
    heights
}

/// The greatest height of one program. `gathered` tells how many values a set or record takes.
fn height(code: &[Instruction], gathered: &dyn Fn(&Instruction) -> Option<usize>) -> usize {
    let (mut height, mut greatest) = (0_usize, 0);
    // Heights with which jumps arrive.
    let mut arriving: HashMap<usize, usize> = HashMap::new();
    for (place, instruction) in code.iter().enumerate() {
        height = arriving.remove(&place).unwrap_or(height);
        let (takes, leaves) = match gathered(instruction) {
            Some(takes) => (takes, 1),
            None => instruction.effect(),
        };
        let below = height.saturating_sub(takes);
        match *instruction {
            // The way of a short circuit keeps its answer.
            Instruction::And(target) | Instruction::Or(target) => {
                arriving.insert(target as usize, below + 1);
            }
            Instruction::Unless(target) => {
                arriving.insert(target as usize, below);
            }
            Instruction::Jump(target) => {
                arriving.insert(target as usize, height);
            }
            _ => {}
        }
        height = below + leaves;
        greatest = greatest.max(height);
    }
    greatest
}
