import Glibc
import TuffHost
import TuffModel
package import SystemPackage

/// Standard output is data, standard error is talk. Nothing else writes to either, except for what `backup restore --to
/// -` restores; so whatever others wrote goes through `TerminalText` before a terminal gets it.
package enum Console {
    /// Writes all of `text` to standard output. A reader that went away ends the command quietly; anything else that
    /// keeps data from being written (a full disk) is said, since a program may be waiting for it.
    package static func data(_ text: String) throws(Failure) {
        do {
            try FileDescriptor.standardOutput.writeAll(TerminalText.rendered(text).utf8)
        } catch Errno.brokenPipe {
            throw Failure(nil)
        } catch {
            throw Failure("standard output cannot be written: \(error)")
        }
    }

    /// Writes to standard error, which nobody has to read: losing talk is no reason to stop working.
    package static func talk(_ text: String) {
        _ = try? FileDescriptor.standardError.writeAll(TerminalText.rendered(text).utf8)
    }

    package static func isTerminal(_ descriptor: FileDescriptor) -> Bool { isatty(descriptor.rawValue) == 1 }

    /// The form in which standard error shows work that takes long: a line that is written over needs a terminal that
    /// can do that.
    static func progressForm(besideJSON: Bool) -> ProgressTalk.Form {
        if besideJSON { return .json }
        guard isTerminal(.standardError), (getenv("TERM").map { String(cString: $0) } ?? "dumb") != "dumb" else {
            return .lines
        }
        var size = winsize()
        let isKnown = ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
        return .terminal(isKnown ? Int(size.ws_col) : 80)
    }

    package enum Answer {
        case yes, no
        /// A signal came first.
        case interrupted
        /// There is no terminal to ask on.
        case unasked
    }

    /// Asks a person whose answer begins work that cannot be taken back.
    static func ask(_ question: String, orInterruptedBy interrupts: Interrupts) async -> Answer {
        guard isTerminal(.standardInput), isTerminal(.standardError) else { return .unasked }
        talk("\n\(question) [y/N] ")
        guard let answer = await answer(orInterruptedBy: interrupts) else {
            talk("\n")
            return .interrupted
        }
        guard ["y", "yes"].contains(answer.lowercased()) else { return .no }
        talk("\n")
        return .yes
    }

    /// A line from the terminal, empty at its end; nil when a signal came first. Looks twenty times a second rather
    /// than blocking a thread of the cooperative pool; a terminal hands out whole lines, so that reading does not wait.
    private static func answer(orInterruptedBy interrupts: Interrupts) async -> String? {
        while !interrupts.isInterrupted {
            var request = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
            if poll(&request, 1, 0) > 0 { return readLine() ?? "" }
            try? await Task.sleep(for: .milliseconds(50))
        }
        return nil
    }

    /// The style of texts on `descriptor`, coloured where they may be. `NO_COLOR` is https://no-color.org: any value
    /// but the empty one.
    package static func style(_ choice: ColorChoice, for descriptor: FileDescriptor) -> Style {
        switch choice {
        case .always: Style(color: true)
        case .never: Style(color: false)
        case .auto: Style(color: isTerminal(descriptor) && !forbidsColor)
        }
    }

    private static var forbidsColor: Bool {
        let value = getenv("NO_COLOR").map { String(cString: $0) } ?? ""
        let terminal = getenv("TERM").map { String(cString: $0) } ?? ""
        return !value.isEmpty || terminal == "dumb"
    }

    /// A write to a closed pipe becomes an error instead of the end of the process: an apply whose reader went away
    /// must still finish what it started.
    /// A handler that does nothing rather than SIG_IGN, which would stay in force in the programs we start.
    /// Likewise a file that grows beyond RLIMIT_FSIZE.
    package static func surviveBrokenPipes() {
        _ = signal(SIGPIPE) { _ in }
        _ = signal(SIGXFSZ) { _ in }
    }
}

package enum ColorChoice: String, CaseIterable, Sendable {
    case auto, always, never
}
