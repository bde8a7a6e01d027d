//! Where progress is shown: a bar, lines, or nowhere.

use std::io::{Write, stderr};
use std::time::Duration;

use super::{BETWEEN_LINES, ProgressState};

#[derive(Default)]
pub(super) enum Output {
    /// Not chosen yet: a bar where standard error is a terminal, else lines there.
    #[default]
    Auto,
    Silent,
    Lines(Box<dyn Write + Send>),
    #[cfg(feature = "terminal")]
    Bar(bar::Bar),
}

impl Output {
    /// With the choice made.
    pub(super) fn opened(self) -> Output {
        match self {
            #[cfg(feature = "terminal")]
            Output::Auto if std::io::IsTerminal::is_terminal(&stderr()) => {
                Output::Bar(bar::Bar::on_standard_error())
            }
            Output::Auto => Output::Lines(Box::new(stderr())),
            chosen => chosen,
        }
    }

    /// How long nothing is shown after something was.
    pub(super) fn pause(&self) -> Duration {
        match self {
            Output::Auto | Output::Lines(_) => BETWEEN_LINES,
            Output::Silent => Duration::MAX,
            #[cfg(feature = "terminal")]
            Output::Bar(_) => bar::BETWEEN_FRAMES,
        }
    }

    pub(super) fn show(&mut self, state: &ProgressState) {
        match self {
            Output::Auto | Output::Silent => {}
            // A reader that went away is no reason to end the work.
            Output::Lines(writer) => drop(writeln!(writer, "{state}")),
            #[cfg(feature = "terminal")]
            Output::Bar(bar) => bar.show(state),
        }
    }

    /// Shows the end of it.
    pub(super) fn finish(mut self, state: &ProgressState) {
        self.show(state);
        match self {
            Output::Lines(mut writer) => drop(writer.flush()),
            #[cfg(feature = "terminal")]
            Output::Bar(bar) => bar.finish(),
            Output::Auto | Output::Silent => {}
        }
    }
}

#[cfg(feature = "terminal")]
mod bar {
    //! A bar, drawn by indicatif.

    use std::time::Duration;

    use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

    use super::ProgressState;

    /// Twenty frames a second: more than that nobody sees.
    pub(super) const BETWEEN_FRAMES: Duration = Duration::from_millis(50);

    pub(in crate::progress) struct Bar(ProgressBar);

    impl Bar {
        pub(super) fn on_standard_error() -> Bar {
            Bar::on(ProgressDrawTarget::stderr())
        }

        pub(super) fn on(target: ProgressDrawTarget) -> Bar {
            let bar = ProgressBar::with_draw_target(None, target);
            // The figures are ours, so that a bar and a line say the same.
            if let Ok(style) = ProgressStyle::with_template("{wide_bar} {msg}") {
                bar.set_style(style);
            }
            Bar(bar)
        }

        pub(super) fn show(&self, state: &ProgressState) {
            if let Some(total) = state.total() {
                self.0.set_length(total);
            }
            self.0.set_message(state.to_string());
            self.0.set_position(state.done());
        }

        pub(super) fn finish(&self) {
            self.0.abandon();
        }
    }

    #[cfg(test)]
    mod tests {
        use indicatif::{InMemoryTerm, TermLike};

        use super::*;
        use crate::{ManualClock, Progress};

        #[test]
        fn a_bar_shows_the_figures_of_the_line() {
            let terminal = InMemoryTerm::new(10, 120);
            let target: Box<dyn TermLike> = Box::new(terminal.clone());
            let bar = Bar::on(ProgressDrawTarget::term_like(target));
            let clock = ManualClock::new();
            let progress =
                Progress::builder().label("files").total(120).clock(&clock).silent().start();
            clock.advance(Duration::from_secs(10));
            progress.advance(30);
            bar.show(&progress.state());
            bar.finish();
            let shown = terminal.contents();
            assert!(shown.contains("files: 30 of 120 (25 %), 3.0 a second, 30 s left"), "{shown}");
        }
    }
}
