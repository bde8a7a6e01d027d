//! A timer in bytes: what it knows, not what it is doing.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Timer;
use crate::Clock;
use crate::recorder::Recorder;
use crate::statistics::Statistics;

#[derive(Serialize, Deserialize)]
#[serde(rename = "Timer")]
struct Encoded {
    name: Option<String>,
    max_times: Option<u64>,
    statistics: Statistics,
    polling: Option<Statistics>,
}

impl Serialize for Timer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Encoded {
            name: self.shared.name.clone(),
            max_times: self.max_times().map(|times| times as u64),
            statistics: self.statistics(),
            polling: self.shared.polling.get().map(Timer::statistics),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Timer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let encoded = Encoded::deserialize(deserializer)?;
        let recorder = Recorder::new(encoded.statistics);
        if let Some(times) = encoded.max_times {
            let times = usize::try_from(times).map_err(de::Error::custom)?;
            recorder.set_window(times).map_err(de::Error::custom)?;
        }
        let timer = Timer::assemble(recorder, Clock::System, encoded.name);
        if let Some(polling) = encoded.polling {
            timer.polling().merge(&polling);
        }
        Ok(timer)
    }
}
