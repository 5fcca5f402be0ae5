//! Multiplies and division (Arm ARM C2.3.10, C2.3.11).

use crate::form::Form;
use crate::pattern::Fields;

/// The halves of a long result are different registers.
fn apart(f: &Fields) -> bool {
    f.of('l') != f.of('h')
}

pub(super) const FORMS: &[Form] = &[
    Form::new("mul", "111110110000 nnnn 1111 dddd 0000 mmmm"),
    Form::new("mla", "111110110000 nnnn aaaa dddd 0000 mmmm"),
    Form::new("mls", "111110110000 nnnn aaaa dddd 0001 mmmm"),
    Form::new("smulxy", "111110110001 nnnn 1111 dddd 00xy mmmm"),
    Form::new("smlaxy", "111110110001 nnnn aaaa dddd 00xy mmmm"),
    Form::new("smuad", "111110110010 nnnn 1111 dddd 000x mmmm"),
    Form::new("smlad", "111110110010 nnnn aaaa dddd 000x mmmm"),
    Form::new("smulwy", "111110110011 nnnn 1111 dddd 000y mmmm"),
    Form::new("smlawy", "111110110011 nnnn aaaa dddd 000y mmmm"),
    Form::new("smusd", "111110110100 nnnn 1111 dddd 000x mmmm"),
    Form::new("smlsd", "111110110100 nnnn aaaa dddd 000x mmmm"),
    Form::new("smmul", "111110110101 nnnn 1111 dddd 000r mmmm"),
    Form::new("smmla", "111110110101 nnnn aaaa dddd 000r mmmm"),
    Form::new("smmls", "111110110110 nnnn aaaa dddd 000r mmmm"),
    Form::new("usad8", "111110110111 nnnn 1111 dddd 0000 mmmm"),
    Form::new("usada8", "111110110111 nnnn aaaa dddd 0000 mmmm"),
    Form::new("smull", "111110111000 nnnn llll hhhh 0000 mmmm").filter_fields(apart),
    Form::new("sdiv", "111110111001 nnnn 1111 dddd 1111 mmmm"),
    Form::new("umull", "111110111010 nnnn llll hhhh 0000 mmmm").filter_fields(apart),
    Form::new("udiv", "111110111011 nnnn 1111 dddd 1111 mmmm"),
    Form::new("smlal", "111110111100 nnnn llll hhhh 0000 mmmm").filter_fields(apart),
    Form::new("smlalxy", "111110111100 nnnn llll hhhh 10xy mmmm").filter_fields(apart),
    Form::new("smlald", "111110111100 nnnn llll hhhh 110x mmmm").filter_fields(apart),
    Form::new("smlsld", "111110111101 nnnn llll hhhh 110x mmmm").filter_fields(apart),
    Form::new("umlal", "111110111110 nnnn llll hhhh 0000 mmmm").filter_fields(apart),
    Form::new("umaal", "111110111110 nnnn llll hhhh 0110 mmmm").filter_fields(apart),
];
