import TuffDrivers
package import TuffHost
package import TuffModel

/// Looks at everything that Tuff needs of a host and says what to do where it is not well. Changes nothing.
package struct Checkup: Sendable {
    package var config: ControllerConfig
    package var configPath: String
    package var probe: HostProbe
    package var machine: any Machine
    package var lockFile: String
    /// Secret files that the documents name.
    package var secrets: [SecretReference]
    /// Directories of the pools that the documents name.
    package var pools: [String]
    /// The documents have volumes whose persistent reservations are to outlive a reboot.
    package var needsReservations: Bool

    package init(
        config: ControllerConfig, configPath: String, probe: HostProbe, machine: any Machine, lockFile: String,
        secrets: [SecretReference] = [], pools: [String] = [], needsReservations: Bool = false
    ) {
        self.config = config
        self.configPath = configPath
        self.probe = probe
        self.machine = machine
        self.lockFile = lockFile
        self.secrets = secrets
        self.pools = pools
        self.needsReservations = needsReservations
    }

    package func run() async -> [Finding] {
        var findings = user() + configuration()
        findings += await lvm()
        findings += await targets()
        findings += directories() + portals()
        findings += await secretFiles()
        findings += await directoryPools()
        return findings + SavedTargets.findings(probe, iqnBase: config.iqnBase)
    }

    // MARK: Rights

    private func user() -> [Finding] {
        probe.effectiveUser == 0
            ? [Finding(.ok, "running as root")]
            : [Finding(.fail, "not running as root: nothing can be changed and little seen", fix: "use sudo")]
    }

    private func configuration() -> [Finding] {
        guard let status = probe.status(configPath) else {
            return [
                Finding(
                    .warn, "\(configPath) does not exist: built-in defaults apply (node \(config.node), no portals)",
                    fix: "write it as docs/spec/controller.md describes")
            ]
        }
        return guarded(configPath, status, what: "config")
    }

    /// Something only root may change, or a way for others to decide what root does.
    private func guarded(_ path: String, _ status: HostProbe.Status, what: String) -> [Finding] {
        if status.owner != 0, status.owner != probe.effectiveUser {
            return [Finding(.fail, "\(what) \(path) belongs to user \(status.owner)", fix: "chown root \(path)")]
        }
        guard !status.writableByOthers else {
            return [
                Finding(
                    .fail, "\(what) \(path) may be written by others than its owner (mode \(status.octal))",
                    fix: "chmod go-w \(path)")
            ]
        }
        return [Finding(.ok, "\(what) \(path): only its owner may change it")]
    }

    // MARK: LVM

    private func lvm() async -> [Finding] {
        let version: String
        do {
            let output = try await machine.read(Command("lvm", ["version"], effect: .reads, deadline: 20))
            let text = String(decoding: output.standardOutput, as: UTF8.self)
            let line = text.split(separator: "\n").first { $0.contains("LVM version") }
            version = line.map { String($0.drop { $0 != ":" }.dropFirst().drop { $0 == " " }) } ?? "of unknown version"
        } catch  where error.code == .notFound {
            return [
                Finding(
                    .warn, "lvm is not installed: only directory pools can be used",
                    fix: "apt install lvm2 thin-provisioning-tools")
            ]
        } catch {
            return [Finding(.fail, "lvm does not answer: \(error)")]
        }
        var findings = [Finding(.ok, "lvm \(version)")]
        findings += kernelModule("dm_mod", what: "device mapper", level: .warn)
        findings += kernelModule("dm_thin_pool", what: "thin pools", level: .warn)
        if !["/usr/sbin/thin_check", "/sbin/thin_check"].contains(where: probe.exists) {
            findings.append(
                Finding(
                    .warn, "thin_check is not installed: LVM cannot activate thin pools",
                    fix: "apt install thin-provisioning-tools"))
        }
        return findings + (await scanning()) + (await lvmSettings()) + (await volumeGroups())
    }

    /// With `scan_lvs` LVM looks into logical volumes for more volume groups: those of the initiators' systems.
    private func scanning() async -> [Finding] {
        let command = Command(
            "lvm", ["lvmconfig", "--type", "full", "devices/scan_lvs"], effect: .reads, deadline: 20)
        guard let output = try? await machine.read(command), output.status == 0 else { return [] }
        let text = String(decoding: output.standardOutput, as: UTF8.self)
        guard text.contains("scan_lvs=1") else {
            return [Finding(.ok, "lvm.conf: LVM does not look into volumes (scan_lvs=0)")]
        }
        return [
            Finding(
                .warn,
                "lvm.conf: scan_lvs=1, so LVM finds and at boot activates volume groups that initiators made inside their "
                    + "volumes; Tuff itself looks into none that is exported or its own",
                fix:
                    "set devices { scan_lvs = 0 } in /etc/lvm/lvm.conf; where groups lie upon volumes, reject the volumes "
                    + "of Tuff's pools in global_filter")
        ]
    }

    private func kernelModule(_ name: String, what: String, level: Finding.Level) -> [Finding] {
        switch probe.module(name) {
        case .present: [Finding(.ok, "kernel: \(name) (\(what))")]
        case .loadable: [Finding(.warn, "kernel: \(name) (\(what)) is not loaded", fix: "modprobe \(name)")]
        case .missing:
            [
                Finding(
                    level, "kernel: \(name) (\(what)) is neither loaded nor loadable",
                    fix: "boot a kernel that has it")
            ]
        }
    }

    // MARK: Targets

    private func targets() async -> [Finding] {
        switch config.targetDriver {
        case .lio: return lio()
        case .tgt:
            let forgets = Finding(
                .warn, "tgtd keeps persistent reservations in its memory only: sharing: writers needs them to stay",
                fix: "use targetDriver: lio")
            return await tgt() + (needsReservations ? [forgets] : [])
        }
    }

    private func lio() -> [Finding] {
        var findings = kernelModule("target_core_mod", what: "target core", level: .fail)
        findings += kernelModule("iscsi_target_mod", what: "iSCSI target", level: .fail)
        let mounted = (probe.text("/proc/mounts") ?? "").split(separator: "\n").contains { line in
            let fields = line.split(separator: " ")
            return fields.count > 2 && fields[1] == "/sys/kernel/config" && fields[2] == "configfs"
        }
        findings.append(
            mounted
                ? Finding(.ok, "kernel: configfs is mounted on /sys/kernel/config")
                : Finding(
                    .fail, "kernel: configfs is not mounted", fix: "mount -t configfs none /sys/kernel/config"))
        return findings + (needsReservations ? reservations() : [])
    }

    /// Where the kernel keeps persistent reservations; without the directory it refuses those that are to be kept.
    private func reservations() -> [Finding] {
        let root = probe.text("/sys/kernel/config/target/dbroot")?.split(whereSeparator: \.isNewline).first
        guard let root else { return [] }
        let directory = "\(root)/pr"
        guard let status = probe.status(directory) else {
            return [
                Finding(
                    .warn, "\(directory) does not exist: persistent reservations that are to be kept are refused",
                    fix:
                        "the next apply that attaches a volume with sharing: writers makes it; or mkdir -p \(directory)"
                )
            ]
        }
        return guarded(directory, status, what: "persistent reservations")
    }

    private func tgt() async -> [Finding] {
        let arguments = ["-C", "\(config.tgtControlPort)", "--lld", "iscsi", "--mode", "target", "--op", "show"]
        do {
            let output = try await machine.read(Command("tgtadm", arguments, effect: .reads, deadline: 20))
            if output.status == 0 {
                return [Finding(.ok, "tgtd answers on control port \(config.tgtControlPort)")] + (await tgtPortals())
            }
            return [
                Finding(
                    .fail, "tgtd does not answer on control port \(config.tgtControlPort): \(output.standardError)",
                    fix: "systemctl start tgt")
            ]
        } catch  where error.code == .notFound {
            return [Finding(.fail, "tgtadm is not installed and targetDriver is tgt", fix: "apt install tgt")]
        } catch {
            return [Finding(.fail, "tgtadm does not answer: \(error)")]
        }
    }

    /// tgtd has one set of portals for all targets, given when it is started.
    private func tgtPortals() async -> [Finding] {
        let arguments = ["-C", "\(config.tgtControlPort)", "--lld", "iscsi", "--mode", "portal", "--op", "show"]
        guard let output = try? await machine.read(Command("tgtadm", arguments, effect: .reads, deadline: 20)),
            output.status == 0, let open = try? TgtDecoder.portals(output.standardOutput)
        else { return [] }
        let everywhere = Set(open.filter(\.isWildcard).map(\.port))
        let list = open.map(\.description).joined(separator: ", ")
        return config.portals.filter { !open.contains($0) && !everywhere.contains($0.port) }.map { portal in
            Finding(
                .fail, "portal \(portal): tgtd does not listen there, but on \(list.isEmpty ? "nothing" : list)",
                fix: "start it with --iscsi portal=\(portal), or correct portals in \(configPath)")
        }
    }

    // MARK: Places

    private func directories() -> [Finding] {
        let lockDirectory = lockFile.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" }
        var findings: [Finding] = []
        if let status = probe.status(lockDirectory) {
            findings += guarded(lockDirectory, status, what: "lock directory")
        } else {
            findings.append(Finding(.ok, "lock directory \(lockDirectory) will be made by the first apply"))
        }
        return findings + Reach.Sort.allCases.flatMap { sort in config.allow[sort].compactMap { self.root($0, sort) } }
    }

    /// A default that is not there is used by nobody.
    private func root(_ path: String, _ sort: Reach.Sort) -> Finding? {
        let what = "allow.\(sort.rawValue) \(path)"
        do throws(HostError) {
            try probe.inspectRoot(path)
            return Finding(.ok, "\(what): only root may change what is on the way")
        } catch {
            guard error.code == .notFound else { return Finding(.fail, "\(what): \(error.sentence)", fix: error.cause) }
            if config.allow[sort] == Reach()[sort] { return nil }
            let mode = sort == .secrets ? "0700" : "0755"
            return Finding(.warn, "\(what) does not exist", fix: "mkdir -p -m \(mode) \(path), where documents use it")
        }
    }

    private func portals() -> [Finding] {
        guard !config.portals.isEmpty else {
            return [
                Finding(
                    .warn, "no portals are configured: every attached volume must name its own",
                    fix: "set portals in \(configPath)")
            ]
        }
        return config.portals.map { portal in
            if portal.isWildcard {
                return Finding(
                    .warn, "portal \(portal) listens on every network this host is in", fix: "name an address")
            }
            return probe.addresses.contains(portal.address)
                ? Finding(.ok, "portal \(portal): this host has the address")
                : Finding(
                    .warn, "portal \(portal): no interface of this host has that address",
                    fix: "configure the address, or correct portals in \(configPath)")
        }
    }

    private func secretFiles() async -> [Finding] {
        // Nothing is compared, so any key will do.
        let key = FingerprintKey(bytes: Array(repeating: 0, count: 32))
        var findings: [Finding] = []
        for secret in secrets {
            do {
                _ = try await machine.fingerprint(secret, key: key)
                // RFC 7143, 12.1.4: secrets shorter than 96 bits only with IPsec; Windows' initiator takes 12 to 16.
                if let size = probe.status(secret.file)?.size, size < 12 {
                    findings.append(
                        Finding(
                            .warn, "secret \(secret.file) has fewer than 12 characters, which some initiators refuse",
                            fix: "write one of 12 to 16 characters"))
                    continue
                }
                findings.append(Finding(.ok, "secret \(secret.file) is readable by its owner only"))
            } catch {
                findings.append(Finding(.fail, error.sentence, fix: error.cause))
            }
        }
        return findings
    }

    private func directoryPools() async -> [Finding] {
        // No secrets are read, so any key will do.
        let key = FingerprintKey(bytes: Array(repeating: 0, count: 32))
        let seen = await DirectoryPoolDriver().observe(pools, on: machine, key: key)
        return pools.flatMap { path in
            switch seen[path] {
            case .unknown(let error):
                return [Finding(.fail, "directory pool \(path) cannot be observed: \(error)", fix: error.cause)]
            case .known(nil):
                return [Finding(.warn, "directory pool \(path) does not exist", fix: "mkdir -m 0700 \(path)")]
            case .known(let pool?):
                guard !probe.isReadOnly(path) else {
                    return [
                        Finding(
                            .fail, "directory pool \(path) is on a file system that is mounted read-only",
                            fix: "mount -o remount,rw")
                    ]
                }
                let faults = ([pool.exposure] + pool.files.map(\.exposure)).compactMap { $0 }
                guard !faults.isEmpty else {
                    return [Finding(.ok, "directory pool \(path): only its owner may change it")]
                }
                return faults.map {
                    Finding(
                        .fail, "directory pool: \($0)",
                        fix: "chown it to root and chmod go-w it, then look what it holds")
                }
            }
        }
    }
}
