//! What the attribute says of its function.

use std::time::Duration;

use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::{Error, Expr, ExprLit, Ident, Lit, LitStr, Path, Result, Token, parenthesized};

/// What the attribute says of its function.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) name: Option<LitStr>,
    pub(crate) repeat: Repeat,
    pub(crate) blocking: Option<Vec<LitStr>>,
    pub(crate) timeout: Option<Timeout>,
    pub(crate) autoreg: Option<Autoreg>,
    pub(crate) root: Option<Path>,
}

#[derive(Default, Clone, Copy, PartialEq)]
pub(crate) enum Repeat {
    Idempotent,
    Never,
    #[default]
    Undeclared,
}

pub(crate) enum Timeout {
    Text(Duration),
    Expression(Box<Expr>),
}

/// Registered at the first call, under this name or the function's own.
pub(crate) struct Autoreg {
    pub(crate) name: Option<LitStr>,
    pub(crate) span: proc_macro2::Span,
}

const KNOWN: &str =
    "name = \"…\", idempotent, never_retry, blocking, timeout = \"…\", autoreg, crate = …";

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut options = Options::default();
        let mut seen: Vec<String> = Vec::new();
        while !input.is_empty() {
            let option = input.call(Ident::parse_any).map_err(|error| {
                Error::new(error.span(), format!("no option of #[function]; there are {KNOWN}"))
            })?;
            let word = option.to_string();
            if seen.contains(&word) {
                return Err(Error::new(option.span(), format!("`{word}` is said twice")));
            }
            match word.as_str() {
                "name" => options.name = Some(text(input)?),
                "idempotent" => options.repeat(Repeat::Idempotent, &option)?,
                "never_retry" => options.repeat(Repeat::Never, &option)?,
                "blocking" => options.blocking = Some(calls(input)?),
                "timeout" => options.timeout = Some(timeout(input)?),
                "autoreg" => {
                    let name = if input.peek(Token![=]) { Some(text(input)?) } else { None };
                    options.autoreg = Some(Autoreg { name, span: option.span() });
                }
                "crate" => {
                    input.parse::<Token![=]>()?;
                    options.root = Some(input.call(Path::parse_mod_style)?);
                }
                _ => {
                    let message =
                        format!("`{word}` is no option of #[function]; there are {KNOWN}");
                    return Err(Error::new(option.span(), message));
                }
            }
            seen.push(word);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(options)
    }
}

impl Options {
    fn repeat(&mut self, repeat: Repeat, option: &Ident) -> Result<()> {
        if self.repeat != Repeat::Undeclared {
            let message = "a function is either idempotent or never_retry";
            return Err(Error::new(option.span(), message));
        }
        self.repeat = repeat;
        Ok(())
    }
}

/// `= "…"`, which is not empty.
fn text(input: ParseStream<'_>) -> Result<LitStr> {
    input.parse::<Token![=]>()?;
    let text: LitStr = input.parse()?;
    if text.value().is_empty() {
        return Err(Error::new(text.span(), "a name cannot be empty"));
    }
    Ok(text)
}

/// `("…", "…")`, or nothing.
fn calls(input: ParseStream<'_>) -> Result<Vec<LitStr>> {
    if !input.peek(syn::token::Paren) {
        return Ok(Vec::new());
    }
    let inside;
    parenthesized!(inside in input);
    let calls = Punctuated::<LitStr, Token![,]>::parse_terminated(&inside)?;
    Ok(calls.into_iter().collect())
}

fn timeout(input: ParseStream<'_>) -> Result<Timeout> {
    input.parse::<Token![=]>()?;
    let limit: Expr = input.parse()?;
    match &limit {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => match span_of_time(&text.value()) {
            Some(time) => Ok(Timeout::Text(time)),
            None => Err(Error::new(
                text.span(),
                format!(
                    "`{}` is no limit of time: write a whole number above 0 with ms, s, m or h, as \
                     in \"250ms\" or \"30s\"",
                    text.value()
                ),
            )),
        },
        Expr::Lit(other) => Err(Error::new(
            other.span(),
            "a limit of time has a unit: write \"30s\", or a constant Duration",
        )),
        _ => Ok(Timeout::Expression(Box::new(limit))),
    }
}

fn span_of_time(text: &str) -> Option<Duration> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok().filter(|number| *number > 0)?;
    let seconds = |each: u64| number.checked_mul(each).map(Duration::from_secs);
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(3_600),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_time_has_a_number_and_a_unit() {
        assert_eq!(span_of_time("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(span_of_time("2h"), Some(Duration::from_secs(7_200)));
        for wrong in ["", "s", "0s", "-1s", "1.5s", "3", "3 s", "3d", "18446744073709551615h"] {
            assert_eq!(span_of_time(wrong), None, "{wrong}");
        }
    }
}
