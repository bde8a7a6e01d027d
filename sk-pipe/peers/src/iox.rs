//! iceoryx2: a queue each way, and events for who sleeps.

use std::hint::spin_loop;

use iceoryx2::config::Config;
use iceoryx2::node::Node;
use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;

use crate::{Side, Words, home};

type Ipc = ipc::Service;

/// Messages that a queue holds: as many as the bare ring of our benches does.
const MESSAGES: usize = 1024;

/// Who waits looks all the time.
pub(crate) struct Polling {
    publisher: Publisher<Ipc, Words, ()>,
    subscriber: Subscriber<Ipc, Words, ()>,
    node: Node<Ipc>,
}

/// Who waits sleeps until an event.
pub(crate) struct Blocking {
    notifier: Notifier<Ipc>,
    listener: Listener<Ipc>,
    queues: Polling,
}

/// The side of who begins.
pub(crate) fn parent(home: &str) -> (Polling, Blocking) {
    make(home, ["there", "back"])
}

/// The side of who answers.
pub(crate) fn partner(home: &str) -> (Polling, Blocking) {
    make(home, ["back", "there"])
}

fn make(home: &str, ways: [&str; 2]) -> (Polling, Blocking) {
    set_log_level(LogLevel::Error);
    let polling = queues(home, "polling", ways);
    let queues = queues(home, "blocking", ways);
    let [notifier, listener] = ways.map(|way| {
        let service = queues.node.service_builder(&name("event", way)).event();
        service.open_or_create().unwrap()
    });
    let notifier = notifier.notifier_builder().create().unwrap();
    let listener = listener.listener_builder().create().unwrap();
    (polling, Blocking { notifier, listener, queues })
}

fn queues(home: &str, kind: &str, ways: [&str; 2]) -> Polling {
    let node = node(home);
    let [to, from] = ways.map(|way| {
        let service = node.service_builder(&name(kind, way)).publish_subscribe::<Words>();
        let service = service.max_publishers(1).max_subscribers(1).history_size(0);
        let service = service.enable_safe_overflow(false).subscriber_max_buffer_size(MESSAGES);
        service.open_or_create().unwrap()
    });
    let publisher = to.publisher_builder();
    let publisher = publisher.backpressure_strategy(BackpressureStrategy::RetryUntilDelivered);
    let publisher = publisher.create().unwrap();
    let subscriber = from.subscriber_builder().create().unwrap();
    Polling { publisher, subscriber, node: node }
}

/// All that it makes has its name from the home or lies in its folder.
fn node(home: &str) -> Node<Ipc> {
    let mut config = Config::default();
    config.global.prefix = FileName::new(home.as_bytes()).unwrap();
    let folder = home::folder(home);
    let folder = Path::new(folder.as_os_str().as_encoded_bytes()).unwrap();
    config.global.set_root_path(&folder);
    let node = NodeBuilder::new().config(&config);
    node.signal_handling_mode(SignalHandlingMode::Disabled).create().unwrap()
}

fn name(kind: &str, way: &str) -> ServiceName {
    format!("{kind}/{way}").as_str().try_into().unwrap()
}

impl Polling {
    fn poll(&self) -> Option<Words> {
        self.subscriber.receive().unwrap().map(|sample| *sample)
    }
}

impl Side for Polling {
    fn send(&self, words: &Words) {
        self.publisher.loan_uninit().unwrap().write_payload(*words).send().unwrap();
    }

    fn receive(&self) -> Words {
        loop {
            if let Some(words) = self.poll() {
                return words;
            }
            spin_loop();
        }
    }
}

impl Side for Blocking {
    fn send(&self, words: &Words) {
        self.queues.send(words);
        self.notifier.notify().unwrap();
    }

    fn receive(&self) -> Words {
        loop {
            if let Some(words) = self.queues.poll() {
                return words;
            }
            self.listener.blocking_wait(|_| {}).unwrap();
        }
    }
}
