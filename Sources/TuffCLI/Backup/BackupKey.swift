import ArgumentParser
import TuffController
import TuffModel
import TuffRepository

struct BackupKey: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key", abstract: "Add, list and take away the keys of an encrypted repository.",
        discussion:
            "Each key opens a slot that wraps the one key of the repository: stored data is not written anew.",
        subcommands: [BackupKeyAdd.self, BackupKeyList.self, BackupKeyRemove.self])
}

struct BackupKeyAdd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Let another key open the repository.")

    @OptionGroup var repository: RepositoryOption
    @Option(help: ArgumentHelp("The other key.", valueName: "file"), completion: .file())
    var newKeyFile: String
    @Option(help: ArgumentHelp("Name of the key's owner, for people.", valueName: "text"))
    var label = ""
    @OptionGroup var global: GlobalOptions
    @OptionGroup var host: HostOptions

    func run() async throws {
        let address = try repository.address(global)
        let slot = try await Job(global: global, host: host, json: false)
            .carryOut(KeyAddition(to: address.place, keyFile: newKeyFile, label: label), at: address)
        Console.talk("Added key slot \(slot.id).\n")
    }
}

struct BackupKeyList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the key slots.")

    @OptionGroup var repository: RepositoryOption
    @OptionGroup var form: TextOrJSONOption
    @OptionGroup var global: GlobalOptions
    @OptionGroup var host: HostOptions

    func run() async throws {
        let address = try repository.address(global)
        let found = try await Job(global: global, host: host, json: false)
            .carryOut(KeyListing(of: address.place), at: address)
        try form.show(KeySlotsView(found.slots, isEncrypted: found.isEncrypted), global.output)
    }
}

struct BackupKeyRemove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm", abstract: "Take a key slot away. The last one stays.",
        discussion:
            "A person who had the key and read the repository may have kept its inner key: make a new repository then.")

    @OptionGroup var repository: RepositoryOption
    @Argument(help: ArgumentHelp("The slot's ID, as key list shows it.", valueName: "id"))
    var slot: String
    @OptionGroup var wait: LockOptions
    @OptionGroup var global: GlobalOptions
    @OptionGroup var host: HostOptions

    func run() async throws {
        guard let id = FileID(slot) else {
            throw Failure.usage("'\(PrintedText.oneLine(slot))' is no ID of a key slot")
        }
        let address = try repository.address(global)
        let removal = KeyRemoval(
            of: id, from: address.place, purpose: "tuff backup key rm", patience: wait.timeout)
        _ = try await Job(global: global, host: host, json: false).carryOut(removal, at: address)
        Console.talk("Took away key slot \(id).\n")
    }
}

struct KeySlotsView: View {
    private let slots: [KeySlot]
    private let isEncrypted: Bool

    init(_ slots: [KeySlot], isEncrypted: Bool) { (self.slots, self.isEncrypted) = (slots, isEncrypted) }

    var kind: String { "KeySlots" }

    func text(_ style: Style) -> String {
        guard !slots.isEmpty else {
            return isEncrypted
                ? "None of the key slots is this repository's: 'tuff backup key add' makes one while a key opens it.\n"
                : "The repository is not encrypted.\n"
        }
        let rows = slots.map { [$0.id.description, $0.record.created, PrintedText.oneLine($0.record.label)] }
        return Layout.table([["ID", "CREATED", "LABEL"]] + rows)
    }

    var body: [String: Tree] {
        [
            "items": .list(
                slots.map { slot in
                    .object([
                        "id": .text(slot.id), "created": .text(slot.record.created),
                        "label": .text(slot.record.label),
                    ])
                })
        ]
    }
}
