//! The table of all functions, sorted by name.

use super::Want::{self, Nullable};
use super::{Function, Manner, Param, conversions};

const fn p(name: &'static str, want: Want) -> Param {
    Param { name, want }
}

/// All functions, sorted by name.
pub static FUNCTIONS: &[Function] = &[
    Function {
        name: "ephemeralasnull",
        params: &[p("value", Nullable)],
        rest: None,
        manner: Manner::Partial,
        run: conversions::ephemeralasnull,
        doc: "Returns the value with ephemeral parts replaced by null.",
    },
    Function {
        name: "issensitive",
        params: &[p("value", Nullable)],
        rest: None,
        manner: Manner::Partial,
        run: conversions::issensitive,
        doc: "Tells whether the value is marked as sensitive.",
    },
    Function {
        name: "nonsensitive",
        params: &[p("value", Nullable)],
        rest: None,
        manner: Manner::Partial,
        run: conversions::nonsensitive,
        doc: "Returns the value without its sensitive mark.",
    },
    Function {
        name: "sensitive",
        params: &[p("value", Nullable)],
        rest: None,
        manner: Manner::Partial,
        run: conversions::sensitive,
        doc: "Returns the value marked as sensitive.",
    },
    Function {
        name: "tobool",
        params: &[p("v", Nullable)],
        rest: None,
        manner: Manner::Partial,
        run: conversions::tobool,
        doc: "Converts to a bool.",
    },
    Function {
        name: "tolist",
        params: &[p("v", Nullable)],
        rest: None,
        manner: Manner::Partial,
        run: conversions::tolist,
        doc: "Converts to a list.",
    },
    Function {
        name: "tomap",
        params: &[p("v", Nullable)],
        rest: None,
        manner: Manner::Partial,
        run: conversions::tomap,
        doc: "Converts to a map.",
    },
    Function {
        name: "tonumber",
        params: &[p("v", Nullable)],
        rest: None,
        manner: Manner::Partial,
        run: conversions::tonumber,
        doc: "Converts to a number.",
    },
    Function {
        name: "toset",
        params: &[p("v", Nullable)],
        rest: None,
        manner: Manner::Partial,
        run: conversions::toset,
        doc: "Converts to a set.",
    },
    Function {
        name: "tostring",
        params: &[p("v", Nullable)],
        rest: None,
        manner: Manner::Partial,
        run: conversions::tostring,
        doc: "Converts to a string.",
    },
];
