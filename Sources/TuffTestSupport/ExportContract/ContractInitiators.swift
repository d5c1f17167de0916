package import TuffHost
package import TuffModel
package import TuffPlanning

/// Initiators of a fake machine: they see what the fake stacks let them see.
package struct FakeInitiators: ContractInitiators {
    package var machine: FakeMachine
    package var kind: TargetDriver

    package init(machine: FakeMachine, kind: TargetDriver) {
        self.machine = machine
        self.kind = kind
    }

    package func discovers(_ iqn: String, as initiator: String) -> Bool {
        let world = machine.world
        return switch kind {
        case .lio: world.targets.discovers(initiator: initiator, iqn)
        case .tgt: world.tgt.discovers(initiator: initiator, iqn)
        }
    }

    package func serial(_ iqn: String, as initiator: String, chap: CHAPCredentials?) -> String? {
        var world = machine.world
        switch kind {
        case .lio:
            let offered = chap.map { (user: $0.user, secret: world.secrets[$0.password.file] ?? "") }
            guard world.targets.login(initiator: initiator, to: iqn, chap: offered) else { return nil }
            return world.targets.serial(initiator: initiator, of: iqn, number: 0)
        case .tgt:
            guard world.tgt.login(initiator: initiator, to: iqn) else { return nil }
            return world.tgt.targets.values.first { $0.name == iqn }?.units[1]?.serial
        }
    }

    package func isWritable(_ iqn: String, as initiator: String) -> Bool {
        let world = machine.world
        switch kind {
        case .lio: return world.targets.isWritable(initiator: initiator, of: iqn, number: 0) == true
        case .tgt: return world.tgt.targets.values.first { $0.name == iqn }?.units[1]?.readOnly == false
        }
    }

    package func holdingSession(_ iqn: String, as initiator: String, _ body: () async throws -> Void) async throws {
        machine.meddle { world in
            switch kind {
            case .lio: _ = world.targets.login(initiator: initiator, to: iqn)
            case .tgt: _ = world.tgt.login(initiator: initiator, to: iqn)
            }
        }
        try await body()
        machine.meddle { world in
            world.targets.logout(initiator: initiator, from: iqn)
            world.tgt.logout(initiator: initiator, from: iqn)
        }
    }
}

/// libiscsi's tools against a real portal: a login of their own each, no kernel and no root needed.
package struct LibiscsiInitiators: ContractInitiators {
    package var machine: any Machine
    package var portal: Portal
    package var kind: TargetDriver
    /// Content of the contract's secret files, made up by the test that runs it.
    package var secrets: [SecretReference: String]

    package init(machine: any Machine, portal: Portal, kind: TargetDriver, secrets: [SecretReference: String] = [:]) {
        self.machine = machine
        self.portal = portal
        self.kind = kind
        self.secrets = secrets
    }

    private func run(_ tool: String, _ arguments: [String]) async throws(HostError) -> CommandOutput {
        try await machine.read(Command(tool, arguments, effect: .reads, deadline: 60))
    }

    private func url(_ iqn: String, _ chap: CHAPCredentials? = nil) -> String {
        let login = chap.map { "\($0.user)%\(secrets[$0.password] ?? "")@" } ?? ""
        return "iscsi://\(login)\(portal)/\(iqn)/\(kind == .tgt ? 1 : 0)"
    }

    package func discovers(_ iqn: String, as initiator: String) async throws -> Bool {
        let output = try await run("iscsi-ls", ["-i", initiator, "iscsi://\(portal)"])
        return String(decoding: output.standardOutput, as: UTF8.self).contains("Target:\(iqn) ")
    }

    package func serial(_ iqn: String, as initiator: String, chap: CHAPCredentials?) async throws -> String? {
        let output = try await run("iscsi-inq", ["-e", "1", "-c", "128", "-i", initiator, url(iqn, chap)])
        guard output.status == 0 else { return nil }
        // Unit Serial Number:[                deadbeef00112233aabb]
        let text = String(decoding: output.standardOutput, as: UTF8.self)
        return text.split { "[] \n".contains($0) }.last.map(String.init)
    }

    /// The NAA designator, as hexadecimal digits, up to its first zero byte: iscsi-inq prints it as C text.
    package func naa(_ iqn: String, as initiator: String) async throws -> String? {
        let output = try await run("iscsi-inq", ["-e", "1", "-c", "131", "-i", initiator, url(iqn)])
        let label = Array("Designator Type:(3) NAA\nDesignator:[".utf8)
        guard let start = output.standardOutput.firstRange(of: label)?.upperBound else { return nil }
        let bytes = output.standardOutput[start...].prefix(16)
        let end = bytes.lastIndex(of: UInt8(ascii: "]")) ?? bytes.endIndex
        return bytes[..<end].map { byte in
            let digits = Array("0123456789abcdef")
            return "\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
        }.joined()
    }

    package func isWritable(_ iqn: String, as initiator: String) async throws -> Bool {
        let output = try await run(
            "iscsi-test-cu", ["-i", initiator, "--dataloss", "--test=SCSI.Write10.Simple", url(iqn)])
        return output.status == 0
    }

    package func holdingSession(_ iqn: String, as initiator: String, _ body: () async throws -> Void) async throws {
        let arguments = ["-i", initiator, "-t", "4", url(iqn)]
        async let reading = machine.read(Command("iscsi-perf", arguments, effect: .reads, deadline: 12))
        try await body()
        // A client that is cut off tries to come back for ever; its end is the deadline.
        _ = try? await reading
    }
}
