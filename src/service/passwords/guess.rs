//! Which passwords are tried first.
//!
//! Lists of passwords that leaked hold few of twelve characters and more; those few are words of the list below with their
//! usual decoration, rows of keys, and repetitions. So the question is not whether a password is on a list, but whether
//! anything is left of it once all that is taken away. The list is our own, from what people choose most.

use crate::base::fold;

/// Fewer characters than this that are not of a pattern are too few.
const LEFT: usize = 5;
/// Fewer different characters than this are too few.
const DIFFERENT: usize = 5;

/// Words that people take, folded, in English and Spanish. Those that are part of longer ones come after them.
const WORDS: &[&str] = &[
    "administrator",
    "administrador",
    "contrasena",
    "contraseña",
    "passphrase",
    "microsoft",
    "liverpool",
    "barcelona",
    "chocolate",
    "basketball",
    "football",
    "baseball",
    "superman",
    "spiderman",
    "starwars",
    "princess",
    "princesa",
    "sunshine",
    "iloveyou",
    "teamo",
    "tequiero",
    "letmein",
    "welcome",
    "bienvenido",
    "bienvenida",
    "password",
    "passwort",
    "passwd",
    "changeme",
    "cambiame",
    "default",
    "computer",
    "internet",
    "whatever",
    "trustno",
    "mustang",
    "monkey",
    "dragon",
    "master",
    "shadow",
    "michael",
    "jennifer",
    "jordan",
    "hunter",
    "killer",
    "batman",
    "charlie",
    "andrew",
    "daniel",
    "thomas",
    "robert",
    "soccer",
    "hockey",
    "george",
    "summer",
    "winter",
    "spring",
    "autumn",
    "verano",
    "invierno",
    "otono",
    "otoño",
    "primavera",
    "january",
    "february",
    "august",
    "september",
    "october",
    "november",
    "december",
    "enero",
    "febrero",
    "marzo",
    "abril",
    "mayo",
    "junio",
    "julio",
    "agosto",
    "septiembre",
    "octubre",
    "noviembre",
    "diciembre",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "lunes",
    "martes",
    "miercoles",
    "jueves",
    "viernes",
    "sabado",
    "domingo",
    "company",
    "empresa",
    "service",
    "servicio",
    "support",
    "soporte",
    "contact",
    "contacto",
    "center",
    "centre",
    "centro",
    "twilio",
    "rollcall",
    "secret",
    "secreto",
    "private",
    "privado",
    "system",
    "sistema",
    "server",
    "servidor",
    "google",
    "amazon",
    "facebook",
    "instagram",
    "oracle",
    "windows",
    "apple",
    "samsung",
    "access",
    "acceso",
    "account",
    "cuenta",
    "owner",
    "admin",
    "root",
    "user",
    "usuario",
    "login",
    "test",
    "testing",
    "prueba",
    "demo",
    "guest",
    "invitado",
    "hello",
    "hola",
    "love",
    "amor",
    "flower",
    "cookie",
    "cheese",
    "pepper",
    "ginger",
    "pokemon",
    "naruto",
    "matrix",
    "phoenix",
    "london",
    "madrid",
    "mexico",
    "america",
    "espana",
    "españa",
    "flex",
    "call",
    "pass",
    "word",
    "clave",
    "the",
    "and",
    "abc",
    "my",
    "mi",
];

/// Rows of keys and of the alphabet; also backwards.
const ROWS: &[&str] = &[
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "1qaz2wsx3edc4rfv5tgb",
    "q1w2e3r4t5y6u7i8o9p0",
    "1q2w3e4r5t6y7u8i9o0p",
];

/// Whether a password is among what is tried first for somebody of that name.
pub(super) fn is_easy(password: &str, user_name: &str) -> bool {
    let folded = fold(password);
    let mut characters: Vec<char> = folded.chars().collect();
    characters.sort_unstable();
    characters.dedup();
    if characters.len() < DIFFERENT {
        return true;
    }
    // As it is, and with the usual figures for letters.
    [folded.clone(), plain_letters(&folded)].iter().any(|text| left_of(text, user_name) < LEFT)
}

/// How many characters are left without words, rows of keys, repetitions, figures at the ends and what is no letter.
fn left_of(text: &str, user_name: &str) -> usize {
    let mut rest = text.to_owned();
    let name = fold(user_name);
    let mut known: Vec<String> = name
        .split(|c: char| !c.is_alphanumeric())
        .filter(|part| part.chars().count() >= 3)
        .map(str::to_owned)
        .collect();
    known.extend(WORDS.iter().map(|word| (*word).to_owned()));
    for word in known {
        rest = rest.replace(&word, " ");
    }
    without_repetition(&without_rows(&rest)).chars().filter(|c| c.is_alphabetic()).count()
}

fn plain_letters(text: &str) -> String {
    let plain = |c| match c {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    };
    text.chars().map(plain).collect()
}

/// Takes out runs of four and more that stand in a row, forwards or backwards.
fn without_rows(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let rows: Vec<Vec<char>> =
        ROWS.iter().flat_map(|row| [row.chars().collect::<Vec<_>>(), row.chars().rev().collect()]).collect();
    let (mut out, mut at) = (String::new(), 0);
    while at < characters.len() {
        let longest = (4..=characters.len() - at).rev().find(|&length| {
            rows.iter().any(|row| row.windows(length).any(|part| *part == characters[at..at + length]))
        });
        if longest.is_none() {
            out.push(characters[at]);
        }
        at += longest.unwrap_or(1);
    }
    out
}

/// What repeats is counted once.
fn without_repetition(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    for period in 1..=characters.len() / 2 {
        if characters.iter().enumerate().all(|(at, c)| at < period || *c == characters[at - period]) {
            return characters[..period].iter().collect();
        }
    }
    let mut out = characters;
    out.dedup();
    out.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s58_what_is_tried_first_is_easy() {
        for text in [
            "password1234",
            "Password1234!",
            "P@ssw0rd12345",
            "passwordpassword",
            "Welcome2026!!",
            "Bienvenido2026",
            "qwertyuiop123",
            "1qaz2wsx3edc4rfv",
            "abcdefghijkl",
            "123456789012",
            "9876543210987",
            "aaaaaaaaaaaa",
            "abababababab",
            "xyzxyzxyzxyz",
            "AnaRuiz12345",
            "ana.ruiz.2026!",
            "Summer2026Winter",
            "iloveyou12345",
            "contraseña123",
            "Rollcall-2026!",
            "Admin-Owner-2026",
            "!!!!!!!!!!!!",
        ] {
            assert!(is_easy(text, "ana.ruiz@acme.example"), "{text}");
        }
    }

    #[test]
    fn phrases_and_random_ones_are_not() {
        for text in [
            "orange pedal volcano mist",
            "correct horse battery staple",
            "tK9#vLq2$wXz",
            "naranja pedal volcan niebla",
            "Hv7zQmXp4Rn2",
            "seven quiet rivers",
        ] {
            assert!(!is_easy(text, "ana.ruiz@acme.example"), "{text}");
        }
    }
}
