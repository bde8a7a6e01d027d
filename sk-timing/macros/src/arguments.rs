//! What stands between the brackets of `#[timethis(…)]`.

use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, Ident, LitStr, Path, Token, ext::IdentExt as _};

#[derive(Default)]
pub(crate) struct Arguments {
    pub(crate) name: Option<LitStr>,
    pub(crate) timer: Option<Expr>,
    pub(crate) threshold: Option<Expr>,
    pub(crate) is_fallible: bool,
    pub(crate) krate: Option<Path>,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut arguments = Arguments::default();
        while !input.is_empty() {
            // `crate` is a keyword.
            let option = input.call(Ident::parse_any)?;
            arguments.take(&option, input)?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(arguments)
    }
}

impl Arguments {
    fn take(&mut self, option: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
        let is_repeated = match option.to_string().as_str() {
            "name" => self.name.replace(value(input)?).is_some(),
            "timer" => self.timer.replace(value(input)?).is_some(),
            "threshold" => self.threshold.replace(value(input)?).is_some(),
            "crate" => {
                input.parse::<Token![=]>()?;
                self.krate.replace(input.call(Path::parse_mod_style)?).is_some()
            }
            "fallible" => std::mem::replace(&mut self.is_fallible, true),
            _ => {
                return Err(Error::new(
                    option.span(),
                    format!(
                        "unknown option `{option}`; there are `name`, `timer`, `threshold`, \
                         `fallible` and `crate`"
                    ),
                ));
            }
        };
        if is_repeated {
            return Err(Error::new(option.span(), format!("`{option}` is given twice")));
        }
        if self.name.is_some() && self.timer.is_some() {
            return Err(Error::new(
                option.span(),
                "`name` chooses a global timer and `timer` one of your own; keep one of them",
            ));
        }
        Ok(())
    }
}

fn value<T: Parse>(input: ParseStream<'_>) -> syn::Result<T> {
    input.parse::<Token![=]>()?;
    input.parse()
}
