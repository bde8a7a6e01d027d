//! Pipes between real processes: what each end sees of the other, and what is left when they die.
//!
//! The same program is parent and child.
//!
//! Unsafe is to fork, which safe code cannot. Its invariant: the copy uses what its only thread may, and ends by
//! `_exit`.
#![expect(unsafe_code, reason = "a test forks")]

mod deaths;
mod limits;
mod lives;
mod program;
mod travel;
mod waking;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use rustix::process::Signal;

use program::{ROLE, Tried, WATCHDOG};

/// Trials that are named as their functions.
macro_rules! trials {
    ($($module:ident::$name:ident),* $(,)?) => {
        vec![$(trial(stringify!($name), $module::$name)),*]
    };
}

fn trial(name: &str, test: fn() -> Tried<()>) -> Trial {
    Trial::test(name, move || test().map_err(|error| Failed::from(error.to_string())))
}

fn main() -> ExitCode {
    if let Ok(role) = std::env::var(ROLE) {
        return child(&role);
    }
    let trials = trials![
        deaths::a_point_given_to_a_child_works_both_ways,
        deaths::all_that_a_killed_child_had_sent_is_read_first,
        deaths::who_waits_for_room_hears_of_the_death,
        deaths::a_dead_parent_is_noticed_by_its_child,
        deaths::to_close_is_not_to_die,
        deaths::a_stopped_process_is_not_dead_and_loses_nothing,
        deaths::both_ends_may_die_at_once,
        lives::a_second_attach_while_the_holder_lives_is_an_error,
        lives::the_next_life_goes_on_with_what_was_not_read,
        lives::what_a_life_was_not_done_with_is_received_by_the_next,
        lives::a_sender_hears_that_no_life_follows,
        lives::a_message_that_a_life_had_half_read_arrives_whole_in_the_next,
        lives::a_message_sent_between_two_lives_arrives_once,
        lives::a_half_sent_message_of_the_dead_is_never_delivered,
        lives::a_message_given_up_half_sent_is_no_obstacle,
        travel::a_point_lost_on_its_way_is_noticed,
        travel::a_point_lost_in_a_message_is_noticed,
        travel::a_point_lost_beside_half_a_message_is_noticed,
        travel::who_made_a_pipe_may_die_before_its_point_arrives,
        travel::the_third_process_talks_while_the_one_between_is_stopped,
        travel::hundreds_of_points_travel_in_one_message,
        travel::a_point_of_another_type_is_refused,
        travel::an_anchor_and_a_locked_point_stay,
        travel::a_forked_copy_has_no_ends,
        waking::no_message_comes_between_a_look_and_the_sleep_unheard,
        limits::a_limit_of_descriptors_is_an_error_and_loses_nothing,
        limits::a_limit_of_addresses_is_an_error_and_loses_nothing,
        limits::thousands_of_pipes_cost_few_descriptors_and_no_threads,
        limits::an_idle_pipe_uses_no_processor,
        limits::a_pipe_leaves_nothing_behind,
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn child(role: &str) -> ExitCode {
    if role != "orphan" {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    }
    std::thread::spawn(|| {
        std::thread::park_timeout(WATCHDOG);
        eprintln!("a child hangs");
        std::process::abort();
    });
    let result = match role {
        "echoes" => deaths::echoes(),
        "sends_and_stays" => deaths::sends_and_stays(),
        "stays" => deaths::stays(),
        "is_parent" => deaths::is_parent(),
        "orphan" => deaths::orphan(),
        "ends" => deaths::ends(),
        "talks" => deaths::talks(),
        "holds" => lives::holds(),
        "takes_over" => lives::takes_over(),
        "is_done_with_some" => lives::is_done_with_some(),
        "reads_some" => lives::reads_some(),
        "adds_up" => lives::adds_up(),
        "sends_half" => lives::sends_half(),
        "ends_at_once" => Ok(()),
        "stays_deaf" => travel::stays_deaf(),
        "gives_half" => travel::gives_half(),
        "gives_and_dies" => travel::gives_and_dies(),
        "forwards" => travel::forwards(),
        "answers" => travel::answers(),
        "answers_all" => travel::answers_all(),
        "gets_another_type" => travel::gets_another_type(),
        "forks" => travel::forks(),
        "limited_descriptors" => limits::limited_descriptors(),
        "limited_addresses" => limits::limited_addresses(),
        "has_thousands" => limits::has_thousands(),
        "idles" => limits::idles(),
        "leaves_nothing" => limits::leaves_nothing(),
        "takes_what_comes" => limits::takes_what_comes(),
        other => Err(format!("no role {other}").into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{role}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn fork() -> i32 {
    // SAFETY: the copy uses what its only thread may, and ends by `_exit`.
    unsafe { libc::fork() }
}

fn end_this_process(code: i32) -> ! {
    // SAFETY: it runs no destructor and does not return.
    unsafe { libc::_exit(code) }
}
