//! Input that nobody writes by hand: very much of one thing, and files that chance has changed. It costs in proportion
//! to its size, and never more than an error.

mod large;
mod linear;
mod shapes;
mod soak;
