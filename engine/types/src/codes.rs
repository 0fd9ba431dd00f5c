//! The codes of diagnostics, each with what it is about. A code never changes its meaning; gone ones stay unused.
//!
//! G01 expressions and types · G04 YAML and JSON · G05 files and top-level blocks · G06 blocks and their arguments ·
//! G07 bodies under a schema · G08 names, kinds and cycles · G09 variables and conditions.

/// Codes in ascending order with their titles.
pub const CODES: &[(&str, &str)] = &[
    ("G0101", "Syntax of an expression"),
    ("G0102", "Syntax of a template or string"),
    ("G0103", "Not a reference"),
    ("G0104", "Type constraints and their defaults"),
    ("G0107", "A constant is required"),
    ("G0110", "Operators and their operands"),
    ("G0111", "Attributes, indexes and splats"),
    ("G0112", "Conditionals"),
    ("G0113", "Objects and for expressions"),
    ("G0114", "Function calls"),
    ("G0115", "A value that a template cannot hold"),
    ("G0116", "Keys of objects"),
    ("G0117", "Expression nested too deeply"),
    ("G0400", "The text is not YAML"),
    ("G0401", "A key is there twice"),
    ("G0402", "A key must be text"),
    ("G0403", "The value does not fit its tag"),
    ("G0404", "Aliases that hold themselves or make too much"),
    ("G0405", "`<<` takes a mapping"),
    ("G0406", "Digits with a leading zero"),
    ("G0407", "Not a number that can be kept"),
    ("G0410", "A template in a flow collection must be quoted"),
    ("G0411", "A reference with an index must be quoted in a flow collection"),
    ("G0412", "A template with `: ` inside must be quoted"),
    ("G0413", "A template with ` #` inside must be quoted"),
    ("G0414", "A value that begins with `%` must be quoted"),
    ("G0415", "A value that begins with `*` must be quoted"),
    ("G0416", "A value that begins with `@` must be quoted"),
    ("G0417", "A value that begins with `&` must be quoted"),
    ("G0418", "A value that begins with `!` must be quoted"),
    ("G0419", "A second `: ` in one value"),
    ("G0420", "Quotes inside of a quoted template"),
    ("G0421", "A value that begins with a quote goes on after it"),
    ("G0422", "A backslash in double quotes begins an escape"),
    ("G0423", "A template is not closed"),
    ("G0450", "The text is not JSON"),
    ("G0501", "Unknown top-level key"),
    ("G0502", "The groma block stands in YAML files only"),
    ("G0503", "A block whose body is null is not there"),
    ("G0504", "Not a name"),
    ("G0505", "Override files"),
    ("G0506", "This file is not a spec"),
    ("G0510", "The folder cannot be read"),
    ("G0511", "No spec in the folder"),
    ("G0512", "One spec in two syntaxes"),
    ("G0513", "Native syntax is not read yet"),
    ("G0514", "A file cannot be read"),
    ("G0515", "Modules are not fetched yet"),
    ("G0516", "A module calls itself"),
    ("G0601", "A boolean where a string is wanted"),
    ("G0602", "A number that cannot be kept"),
    ("G0603", "A number whose text would be lost"),
    ("G0604", "The value has the wrong shape"),
    ("G0605", "The value must be fixed text"),
    ("G0606", "Unknown argument"),
    ("G0607", "This block is not read yet"),
    ("G0608", "A name that a variable cannot have"),
    ("G0609", "A required argument is missing"),
    ("G0610", "A version in a provider block is ignored"),
    ("G0611", "A provider with for_each needs an alias"),
    ("G0612", "Two ways to expand one block"),
    ("G0613", "A name is declared twice"),
    ("G0614", "Provisioners are not run yet"),
    ("G0615", "Another program's remote runs"),
    ("G0616", "Another language level is required"),
    ("G0617", "Not a version constraint"),
    ("G0618", "Two backends"),
    ("G0701", "Unsupported argument"),
    ("G0702", "Missing required argument"),
    ("G0703", "The provider decides this value"),
    ("G0704", "Argument is deprecated"),
    ("G0705", "Incorrect attribute value type"),
    ("G0706", "A nested block cannot be an expression"),
    ("G0707", "Not enough blocks of a type"),
    ("G0708", "Too many blocks of a type"),
    ("G0709", "Invalid dynamic for_each value"),
    ("G0801", "Reference to an undeclared name"),
    ("G0803", "No such provider"),
    ("G0804", "Unknown kind"),
    ("G0805", "Provider configuration not present"),
    ("G0806", "Instances of a provider"),
    ("G0807", "The default does not fit the variable's type"),
    ("G0808", "A provider version that is not spoken for"),
    ("G0810", "A block refers to itself"),
    ("G0811", "Blocks wait for each other"),
    ("G0812", "each or count without an expansion"),
    ("G0813", "self cannot stand here"),
    ("G0814", "Unsupported attribute"),
    ("G0815", "Missing instance key"),
    ("G0816", "Unexpected instance key"),
    ("G0901", "Value for an undeclared variable"),
    ("G0902", "A -var without a value"),
    ("G0903", "No value for a required variable"),
    ("G0904", "Required variable not set"),
    ("G0905", "Invalid value for variable"),
    ("G0906", "Invalid condition result"),
    ("G0907", "A condition does not hold"),
    ("G0908", "A file of variable values cannot be read"),
    ("G0909", "Not a file of variable values"),
];

/// The title of a code.
pub fn title(code: &str) -> Option<&'static str> {
    CODES.binary_search_by_key(&code, |(code, _)| code).ok().map(|at| CODES[at].1)
}

#[cfg(test)]
mod tests {
    use super::{CODES, title};

    #[test]
    fn codes_ascend_and_are_found() {
        assert!(CODES.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(title("G0401"), Some("A key is there twice"));
        assert_eq!(title("G0499"), None);
    }
}
