import ArgumentParser
import TuffController
import TuffModel
import TuffReconcile

struct Doctor: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Check this host: rights, tools, kernel, configuration. Exit 1 on a failure.",
        discussion: "With -f also the secret files and directory pools that the documents name. Changes nothing.")

    @OptionGroup var documents: DocumentOptions
    @OptionGroup var form: TextOrJSONOption
    @OptionGroup var global: GlobalOptions
    @OptionGroup var host: HostOptions

    func run() async throws {
        let config = try global.loadConfig()
        var secrets: Set<SecretReference> = []
        var pools: Set<String> = []
        var needsReservations = false
        if !documents.paths.isEmpty {
            let loaded = try global.loadDocuments(
                documents.paths, under: config, consequence: "nothing was checked")
            needsReservations = loaded.state.volumes.values.contains { $0.spec.sharing == .writers }
            secrets = Set(loaded.state.attachments.values.flatMap(\.secrets))
            for case .directory(let pool) in loaded.state.pools.values.map(\.spec.backend) { pools.insert(pool.path) }
        }
        let checkup = Checkup(
            config: config, configPath: global.config ?? ControllerFile.usualPath, probe: .current(),
            machine: host.controller.machine(under: config), lockFile: host.lockFile, secrets: secrets.sorted(),
            pools: pools.sorted(), needsReservations: needsReservations)
        let view = DoctorView(await checkup.run())
        try form.show(view, global.output)
        if view.exitCode != ExitStatus.done { throw Failure(nil, code: view.exitCode) }
    }
}
