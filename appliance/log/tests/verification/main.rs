//! Verification, against logs that say what must not be: each is committed through the log's own door and signed, where it
//! says so, by its own key. What lies about the past has right checksums and right signatures here, and is found all the same.

#[cfg(test)]
mod approvals;
#[cfg(test)]
mod beside;
#[cfg(test)]
mod break_glass;
#[cfg(test)]
mod elsewhere;
#[cfg(test)]
mod gaps;
#[cfg(test)]
#[path = "../../../../client/tests/agreement/office.rs"]
mod office;
#[cfg(test)]
mod order;
#[cfg(test)]
mod synthetic;
#[cfg(test)]
mod verdict;
