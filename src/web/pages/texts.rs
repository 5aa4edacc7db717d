//! What pages say, in each language.

/// A language of the pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::web) enum Language {
    /// English, for whoever asks for nothing that we have.
    #[default]
    English,
    /// Spanish.
    Spanish,
}

impl Language {
    /// Chooses by `Accept-Language` (RFC 9110 §12.5.4); of equal weights the first.
    pub(in crate::web) fn accepted(header: &str) -> Self {
        let mut best = (0.0_f32, Self::default());
        for part in header.split(',').take(20) {
            let (range, weight) = part.split_once(';').unwrap_or((part, ""));
            let weight = match weight.trim().strip_prefix("q=") {
                Some(text) => text.trim().parse::<f32>().ok().filter(|q| (0.0..=1.0).contains(q)).unwrap_or(0.0),
                None => 1.0,
            };
            let primary = range.trim().split('-').next().unwrap_or_default();
            let known = [Self::English, Self::Spanish].into_iter().find(|it| primary.eq_ignore_ascii_case(it.code()));
            if let Some(language) = known
                && weight > best.0
            {
                best = (weight, language);
            }
        }
        best.1
    }

    /// The language's code, as `lang` wants it.
    pub(in crate::web) const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Spanish => "es",
        }
    }

    pub(in crate::web) const fn texts(self) -> &'static Texts {
        match self {
            Self::English => &ENGLISH,
            Self::Spanish => &SPANISH,
        }
    }
}

/// Puts values into a text at `{name}`.
pub(in crate::web) fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let (name, behind) = after.split_once('}').unwrap_or((after, ""));
        out.push_str(values.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| *value));
        rest = behind;
    }
    out.push_str(rest);
    out
}

/// Each text once in each language: one that is missing does not compile.
macro_rules! texts {
    ($($name:ident: $english:literal, $spanish:literal;)+) => {
        /// The texts of one language.
        #[derive(Debug)]
        pub(in crate::web) struct Texts {
            $(pub(in crate::web) $name: &'static str),+
        }

        const ENGLISH: Texts = Texts { $($name: $english),+ };
        const SPANISH: Texts = Texts { $($name: $spanish),+ };
        #[cfg(test)]
        const ALL: &[(&str, &str, &str)] = &[$((stringify!($name), $english, $spanish)),+];
    };
}

texts! {
    sign_in: "Sign in", "Iniciar sesión";
    continue_: "Continue", "Continuar";
    email_or_name: "E-mail address or user name", "Correo electrónico o nombre de usuario";
    password: "Password", "Contraseña";
    another_name: "Use another name", "Usar otro nombre";
    choose_way: "Choose how to sign in.", "Elija cómo iniciar sesión.";
    with_password: "With a password", "Con una contraseña";
    with_connection: "With {name}", "Con {name}";
    wrong_password: "The name or the password is wrong, or the account may not sign in this way.",
        "El nombre o la contraseña no son correctos, o la cuenta no puede iniciar sesión de esta manera.";
    too_many_attempts: "There were too many attempts. Wait a quarter of an hour, then try again.",
        "Ha habido demasiados intentos. Espere un cuarto de hora y vuelva a intentarlo.";
    busy: "Too many people are signing in right now. Try again in a moment.",
        "Demasiadas personas están iniciando sesión en este momento. Vuelva a intentarlo enseguida.";
    reference: "Reference:", "Referencia:";
    you: "Signed in as {name}", "Sesión iniciada como {name}";
    user_name: "User name", "Nombre de usuario";
    email: "E-mail", "Correo electrónico";
    role: "Role", "Rol";
    role_owner: "Owner", "Propietario";
    role_admin: "Administrator", "Administrador";
    role_supervisor: "Supervisor", "Supervisor";
    role_agent: "Agent", "Agente";
    account: "Contact centre", "Centro de contacto";
    signed_in_by: "Signed in with", "Sesión iniciada con";
    a_password: "a password", "una contraseña";
    sign_out: "Sign out", "Cerrar sesión";
    sign_out_everywhere: "Sign out everywhere", "Cerrar sesión en todas partes";
    your_sessions: "Your sessions", "Sus sesiones";
    since: "Since", "Desde";
    last_seen: "Last used", "Último uso";
    address: "Address", "Dirección";
    browser: "Browser", "Navegador";
    this_session: "This one", "Esta";
    end_session: "End", "Cerrar";
    signed_out: "You are signed out", "Ha cerrado la sesión";
    signed_out_text: "Your session has ended. You may close this window.", "Su sesión ha terminado. Puede cerrar esta ventana.";
    signed_out_everywhere_text: "All your sessions have ended, in every browser.",
        "Todas sus sesiones han terminado, en todos los navegadores.";
    sign_in_again: "Sign in again", "Iniciar sesión de nuevo";
    step_up: "Confirm that it is you", "Confirme que es usted";
    step_up_text: "What you are about to do needs a sign-in within the last five minutes.",
        "Lo que va a hacer requiere haber iniciado sesión en los últimos cinco minutos.";
    confirm: "Confirm", "Confirmar";
    no_access: "You have no access", "No tiene acceso";
    no_access_role: "You are known here, but nothing gives you a role in the contact centre: access comes from the groups and attributes that your company's directory holds about you.",
        "Se le conoce aquí, pero nada le da un rol en el centro de contacto: el acceso proviene de los grupos y atributos que el directorio de su empresa tiene sobre usted.";
    no_access_inactive: "Your access was switched off.", "Su acceso se ha desactivado.";
    no_access_unknown: "Your company's directory has not announced you to the contact centre.",
        "El directorio de su empresa no le ha dado de alta en el centro de contacto.";
    no_access_not_permitted: "Your role may not do this.", "Su rol no permite hacer esto.";
    ask_whom: "Ask the administrator of your contact centre or your company's service desk, and give them the reference below.",
        "Pregunte al administrador de su centro de contacto o al servicio de asistencia de su empresa, e indique la referencia siguiente.";
    error: "That did not work", "No ha funcionado";
    error_text: "The sign-in or request could not be completed. An administrator can see the reason under the reference below.",
        "No se ha podido completar el inicio de sesión o la solicitud. Un administrador puede ver el motivo con la referencia siguiente.";
    error_form: "The form was sent from another page, or this one was open for too long. Go back, load the page again, and try once more.",
        "El formulario se envió desde otra página, o esta estuvo abierta demasiado tiempo. Vuelva atrás, cargue la página de nuevo e inténtelo otra vez.";
    error_unavailable: "The service is not available right now. Try again in a moment.",
        "El servicio no está disponible en este momento. Vuelva a intentarlo enseguida.";
    not_found: "There is nothing here", "Aquí no hay nada";
    not_found_text: "The address is wrong, or what was there has gone.", "La dirección no es correcta, o lo que había ya no está.";
    back_home: "Go to the start", "Ir al inicio";
    forward: "One moment", "Un momento";
    forward_text: "You are being taken to the sign-in page of your company.",
        "Se le está llevando a la página de inicio de sesión de su empresa.";
    owner: "Become the owner", "Convertirse en propietario";
    owner_text: "Choose a name and a password for the owner of the contact centre {account}. This link works once.",
        "Elija un nombre y una contraseña para el propietario del centro de contacto {account}. Este enlace funciona una sola vez.";
    owner_button: "Set the password", "Establecer la contraseña";
    new_password: "New password", "Nueva contraseña";
    password_again: "The same password again", "La misma contraseña otra vez";
    password_hint: "At least 12 characters. A few unrelated words make a good one.",
        "Al menos 12 caracteres. Unas cuantas palabras sin relación entre sí hacen una buena contraseña.";
    link_gone: "The link does not work", "El enlace no funciona";
    link_gone_text: "It was used already, has expired, or was replaced by a newer one. A new one is made with: rollcall owner link",
        "Ya se ha usado, ha caducado o se ha sustituido por uno más reciente. Se crea uno nuevo con: rollcall owner link";
    passwords_differ: "The two passwords differ.", "Las dos contraseñas no coinciden.";
    password_short: "The password is too short: it needs at least 12 characters.",
        "La contraseña es demasiado corta: necesita al menos 12 caracteres.";
    password_long: "The password is too long: it may have 256 characters.",
        "La contraseña es demasiado larga: puede tener 256 caracteres.";
    password_common: "This password is too easy to guess. Choose another one.",
        "Esta contraseña es demasiado fácil de adivinar. Elija otra.";
    name_bad: "The name needs 1 to 256 characters, without spaces at its ends or control characters.",
        "El nombre necesita de 1 a 256 caracteres, sin espacios en los extremos ni caracteres de control.";
    name_taken: "Another user of this contact centre has this name. Choose another one.",
        "Otro usuario de este centro de contacto tiene este nombre. Elija otro.";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(text: &str) -> Vec<&str> {
        let mut places: Vec<&str> =
            text.split('{').skip(1).map(|part| part.split('}').next().unwrap_or_default()).collect();
        places.sort_unstable();
        places
    }

    #[test]
    fn every_text_is_there_in_both_languages() {
        // Words that are the same in both.
        let same = ["role_supervisor"];
        for (name, english, spanish) in ALL {
            assert!(!english.trim().is_empty() && !spanish.trim().is_empty(), "{name}");
            assert_eq!(english == spanish, same.contains(name), "{name} is not translated");
            assert_eq!(places(english), places(spanish), "{name}");
        }
    }

    #[test]
    fn the_language_is_the_one_that_is_wanted_most() {
        for (header, language) in [
            ("", Language::English),
            ("es", Language::Spanish),
            ("es-MX,es;q=0.9,en;q=0.8", Language::Spanish),
            ("de-DE,de;q=0.9,es;q=0.4,en;q=0.3", Language::Spanish),
            ("en-GB,es", Language::English),
            ("en;q=0.1, ES-ar;q=0.2", Language::Spanish),
            ("es;q=0", Language::English),
            ("es;q=7, fr", Language::English),
            ("*", Language::English),
        ] {
            assert_eq!(Language::accepted(header), language, "{header}");
        }
    }

    #[test]
    fn values_are_put_in_once() {
        assert_eq!(fill("a {x} b {y}", &[("x", "{y}"), ("y", "2")]), "a {y} b 2");
        assert_eq!(fill("plain", &[]), "plain");
    }
}
