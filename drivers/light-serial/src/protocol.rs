//! Commands to each maker's controllers, and their answers.

use crate::config::{Config, Protocol};
use crate::port::{Fault, Port, Whole};
use contract::LightState;

/// The lowest level for a test of the current. Below it a filament takes too little.
const LEAST_MEASURED: f64 = 0.05;

/// Asks the controller for its identity. Nothing else is sent before.
pub(crate) fn greet(port: &mut Port, config: &Config) -> Result<String, Fault> {
    match config.protocol {
        Protocol::Gardasoft => {
            let version = gardasoft(port, "VR")?;
            let known = version.chars().any(|c| c.is_ascii_alphanumeric());
            if known { Ok(format!("Gardasoft {version}")) } else { Err(port.garbled("VR", version.as_bytes())) }
        }
        // The controller has no version to ask for. The settings of the channel show that it is there and understands.
        Protocol::Ccs => ccs(port, config.channel, "M", 'R').map(|_| "CCS PD".into()),
        Protocol::Scpi => {
            let identity = scpi(port, "*IDN?", true)?;
            if identity.split(',').count() < 2 {
                return Err(port.garbled("*IDN?", identity.as_bytes()));
            }
            // Errors of an earlier client are cleared.
            scpi(port, "*CLS", false)?;
            Ok(identity)
        }
        Protocol::Relay if config.answers => relay_states(port).map(|states| format!("relay, {} channels", states.len())),
        Protocol::Relay => Ok("relay".into()),
    }
}

/// Sets a level and reads it back.
pub(crate) fn set(port: &mut Port, config: &Config, level: f64, told: &mut f64) -> Result<LightState, Fault> {
    let channel = config.channel;
    match config.protocol {
        Protocol::Gardasoft => {
            gardasoft(port, &format!("RS{channel},{:.1}", level * 100.0))?;
        }
        Protocol::Ccs => {
            if level > 0.0 {
                ccs(port, channel, &format!("F{:03}", (level * 255.0).round()), 'W')?;
            }
            ccs(port, channel, if level > 0.0 { "L1" } else { "L0" }, 'W')?;
        }
        Protocol::Scpi => {
            if level > 0.0 {
                scpi(port, &format!("VOLT {:.3}", level * config.volts.unwrap_or(0.0)), false)?;
            }
            scpi(port, if level > 0.0 { "OUTP ON" } else { "OUTP OFF" }, false)?;
            let error = scpi(port, "SYST:ERR?", true)?;
            let none = error.split(',').next().and_then(|code| code.trim().parse::<i32>().ok());
            match none {
                Some(0) => {}
                Some(_) => return Err(port.refused(&format!("level {level}"), error.as_bytes())),
                None => return Err(port.garbled("SYST:ERR?", error.as_bytes())),
            }
        }
        Protocol::Relay => {
            let state = u8::from(level > 0.0);
            let command = [0xA0, channel, state, 0xA0_u8.wrapping_add(channel).wrapping_add(state)];
            port.ask(&command, None)?;
        }
    }
    *told = level;
    let state = read(port, config, *told)?;
    // An accepted level differs only by the controller's rounding.
    if (state.level - level).abs() > 0.02 || state.on != (level > 0.0) {
        let found = format!("on = {}, level {:.3}", state.on, state.level);
        return Err(port.refused(&format!("level {level}"), found.as_bytes()));
    }
    Ok(state)
}

/// The state of a channel, by the controller's own account.
pub(crate) fn read(port: &mut Port, config: &Config, told: f64) -> Result<LightState, Fault> {
    let channel = config.channel;
    let (on, level) = match config.protocol {
        Protocol::Gardasoft => {
            let question = format!("ST{channel}");
            let status = gardasoft(port, &question)?;
            let percent = status.split(',').find_map(|field| field.trim().strip_prefix('S')?.trim_end_matches('%').parse::<f64>().ok());
            let percent = percent.filter(|p| (0.0..=100.0).contains(p)).ok_or_else(|| port.garbled(&question, status.as_bytes()))?;
            (percent > 0.0, percent / 100.0)
        }
        Protocol::Ccs => {
            let settings = ccs(port, channel, "M", 'R')?;
            let number = |header: char| {
                let digits = settings.split(header).nth(1)?;
                let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
                digits[..end].parse::<u32>().ok()
            };
            match (number('F'), number('L')) {
                (Some(intensity @ 0..=255), Some(on @ 0..=1)) => (on == 1, f64::from(intensity) / 255.0),
                _ => return Err(port.garbled(&format!("@{channel:02}M"), settings.as_bytes())),
            }
        }
        Protocol::Scpi => {
            let output = scpi(port, "OUTP?", true)?;
            let on = match output.as_str() {
                "1" | "ON" => true,
                "0" | "OFF" => false,
                _ => return Err(port.garbled("OUTP?", output.as_bytes())),
            };
            let volts = number(port, "VOLT?")?;
            let level = volts / config.volts.unwrap_or(f64::INFINITY);
            if let Some(least) = config.min_amperes.filter(|_| on && level >= LEAST_MEASURED) {
                let least = least * level.min(1.0);
                let amperes = number(port, "MEAS:CURR?")?;
                if amperes < least {
                    return Err(Fault::Lamp(format!("it takes {amperes:.3} A at {volts:.2} V, and at least {least:.3} A were expected")));
                }
            }
            (on, level)
        }
        Protocol::Relay if config.answers => {
            let states = relay_states(port)?;
            let on = states.iter().find(|(number, _)| *number == channel).map(|(_, on)| *on);
            let on = on.ok_or_else(|| Fault::Refused(format!("the relay has {} channels, and none is {channel}", states.len())))?;
            (on, f64::from(u8::from(on)))
        }
        Protocol::Relay => (told > 0.0, told),
    };
    Ok(LightState { on, level: if on { level } else { 0.0 } })
}

/// Sends a command and a carriage return. The answer ends with `>`, and may begin with the command.
fn gardasoft(port: &mut Port, command: &str) -> Result<String, Fault> {
    let answer = port.ask(format!("{command}\r").as_bytes(), Some(&|answer| answer.ends_with(b">")))?;
    let text = std::str::from_utf8(&answer[..answer.len() - 1]).map_err(|_| port.garbled(command, &answer))?;
    let text = text.trim().strip_prefix(command).unwrap_or_else(|| text.trim()).trim();
    if text.starts_with("Err") && text != "Err 0" {
        return Err(port.refused(command, &answer));
    }
    Ok(text.to_owned())
}

/// Sends `@`, channel, data, W or R, checksum of all before it, and an end of line. `@ccO...` or `@ccN...` comes back.
fn ccs(port: &mut Port, channel: u8, data: &str, way: char) -> Result<String, Fault> {
    let body = format!("@{channel:02}{data}{way}");
    let question = format!("{body}{:02X}\r\n", checksum(body.as_bytes()));
    let answer = port.ask(question.as_bytes(), Some(&|answer| answer.ends_with(b"\r\n")))?;
    let text = std::str::from_utf8(&answer).ok().map(str::trim_end);
    let checked = text.filter(|text| text.is_ascii() && text.len() >= 6).map(|text| text.split_at(text.len() - 2));
    let Some((rest, sum)) = checked else { return Err(port.garbled(&body, &answer)) };
    if u8::from_str_radix(sum, 16) != Ok(checksum(rest.as_bytes())) {
        return Err(port.garbled(&body, &answer));
    }
    match rest.strip_prefix(&format!("@{channel:02}")).and_then(|rest| rest.split_at_checked(1)) {
        Some(("O", data)) => Ok(data.to_owned()),
        Some(("N", _)) => Err(port.refused(&body, &answer)),
        _ => Err(port.garbled(&body, &answer)),
    }
}

fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

fn scpi(port: &mut Port, command: &str, answers: bool) -> Result<String, Fault> {
    let ends = |answer: &[u8]| answer.ends_with(b"\n");
    let whole: Whole<'_> = if answers { Some(&ends) } else { None };
    let answer = port.ask(format!("{command}\n").as_bytes(), whole)?;
    let text = std::str::from_utf8(&answer).map_err(|_| port.garbled(command, &answer))?;
    Ok(text.trim().to_owned())
}

fn number(port: &mut Port, question: &str) -> Result<f64, Fault> {
    let answer = scpi(port, question, true)?;
    answer.parse().ok().filter(|n: &f64| n.is_finite()).ok_or_else(|| port.garbled(question, answer.as_bytes()))
}

/// Reads a line for each channel, such as `CH1: OFF`.
fn relay_states(port: &mut Port) -> Result<Vec<(u8, bool)>, Fault> {
    let parsed = |answer: &[u8]| -> Option<Vec<(u8, bool)>> {
        let text = std::str::from_utf8(answer).ok()?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let one = |line: &str| {
            let (number, state) = line.strip_prefix("CH")?.split_once(':')?;
            let on = match state.trim() {
                "ON" => true,
                "OFF" => false,
                _ => return None,
            };
            Some((number.trim().parse().ok()?, on))
        };
        lines.map(one).collect::<Option<Vec<_>>>().filter(|states| !states.is_empty())
    };
    let answer = port.ask(&[0xFF], Some(&|answer| answer.ends_with(b"\n") && parsed(answer).is_some()))?;
    parsed(&answer).ok_or_else(|| port.garbled("FF", &answer))
}
