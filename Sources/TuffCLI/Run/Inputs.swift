import TuffConfig
import TuffController
import TuffHost
import TuffModel
import TuffRepository

/// Inputs read for a command, with what is wrong about them said on standard error.
extension GlobalOptions {
    /// The controller's configuration: the file named, the default file where it exists, else built-in defaults.
    /// - Parameter toleratesFormer: takes one that an earlier version read, as that understood it, with a warning.
    func loadConfig(toleratesFormer: Bool = false) throws(Failure) -> ControllerConfig {
        try failing { () throws(PassError) in
            try ControllerFile.load(config, toleratesFormer: toleratesFormer) {
                Console.talk(DiagnosticText.render($0, color: errors.color))
            }
        }
    }

    /// Reads documents; ends the command where anything is wrong with them.
    /// - Parameters:
    ///   - config: whose roots of secrets hold no documents; nil: no host's.
    ///   - consequence: of an error: `nothing was planned`.
    ///   - pruning: what no document declares is about to be removed.
    func loadDocuments(
        _ paths: [String], under config: ControllerConfig?, consequence: String, pruning: Bool = false
    ) throws(Failure) -> Documents {
        let reading = try failing { () throws(PassError) in
            try Documents.read(paths, under: config, pruning: pruning)
        }
        return try accept(reading, consequence: consequence)
    }

    func accept(_ reading: Documents.Reading, consequence: String) throws(Failure) -> Documents {
        Console.talk(DiagnosticText.render(reading.diagnostics, color: errors.color))
        guard let documents = reading.documents else {
            Console.talk("\(consequence)\n")
            throw Failure(nil)
        }
        return documents
    }

    /// Says which sources could not be seen.
    func warnOfUnseen(_ observed: ObservedState) {
        warn(observed.unseenSentences)
    }

    /// Hears what is said beside the data.
    var listener: TerminalListener { TerminalListener(style: errors) }

    func warn(_ sentences: [String]) {
        for sentence in sentences { listener.tell(.warning(sentence)) }
    }
}

/// Runs `body` and has an error of a pass end the command.
func failing<Value>(_ body: () throws(PassError) -> Value) throws(Failure) -> Value {
    do throws(PassError) { return try body() } catch { throw Failure(error) }
}

/// The same of work with backups.
func failing<Value>(_ body: () throws(BackupError) -> Value) throws(Failure) -> Value {
    do throws(BackupError) { return try body() } catch { throw Failure(error) }
}

func failing<Value>(_ body: () throws(RepositoryError) -> Value) throws(Failure) -> Value {
    do throws(RepositoryError) { return try body() } catch { throw Failure(BackupError(error)) }
}

func failing<Value>(_ body: () async throws(BackupError) -> Value) async throws(Failure) -> Value {
    do throws(BackupError) { return try await body() } catch { throw Failure(error) }
}

extension HostOptions {
    var places: HostPlaces {
        var places = HostPlaces()
        places.lockFile = lockFile
        places.stateDirectory = stateDirectory
        places.targetRoot = targetRoot
        places.toolPath = toolPath?.split(separator: ":").map(String.init)
        if inProcess { places.workerCommand = [] }
        return places
    }

    var controller: Controller { Controller(places: places, purpose: CommandLine.typed) }
}

extension CommandLine {
    /// The command line as the user typed it. No option of this program takes a secret.
    static var typed: String {
        Command("tuff", Array(arguments.dropFirst()), effect: .reads).description
    }
}
