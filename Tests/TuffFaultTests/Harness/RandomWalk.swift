import TuffHost
import TuffModel
import TuffPlanning
import TuffTestSupport

/// A long random history of one host with several volumes: documents edited, orders given, initiators coming and
/// going, passes with and without consent that are killed, fail, read stale or nothing, meet a meddling human or
/// another controller between plan and act. Everything follows from the seed.
struct RandomWalk {
    var generator: SeededGenerator
    var host: Simulation
    let seed: UInt64
    private let record: (_ position: String, [Oracle.Violation]) -> Void
    private var backends: [String: Simulation.Backend] = [:]

    init(
        seed: UInt64, mutant: Mutant? = nil, record: @escaping (_ position: String, [Oracle.Violation]) -> Void
    ) async {
        self.seed = seed
        self.record = record
        generator = SeededGenerator(seed: seed)
        host = Simulation(seed: seed, mutant: mutant)
        for index in 0..<Int.random(in: 2...5, using: &generator) {
            let name = "v\(index)"
            let backend = Simulation.Backend.allCases.randomElement(using: &generator) ?? .lvm
            backends[name] = backend
            let edit =
                [.declareAttached, .declare, .declareFromImage, .declareFromRaw, .declareFromDigest]
                .randomElement(using: &generator) ?? Edit.declare
            _ = host.edit(edit, name, backend)
        }
        await host.settle()
        await settleIn()
        record("start", host.takeViolations())
    }

    /// A situation that takes several changes to come about is there in some histories from the beginning.
    private mutating func settleIn() async {
        // Something to go back to.
        for (name, backend) in backends.sorted(by: { $0.key < $1.key }) where Bool.random(using: &generator) {
            if host.edit(.snapshot, name, backend) { await host.settle() }
            _ = host.edit(.write, name, backend)
        }
        for (name, backend) in backends.sorted(by: { $0.key < $1.key }) where Bool.random(using: &generator) {
            let edit = Bool.random(using: &generator) ? Edit.declarePolicy : .declareZonedPolicy
            if host.edit(edit, name, backend) { await host.settle() }
        }
        // Copies that are to share what little room there is.
        for (name, backend) in backends.sorted(by: { $0.key < $1.key }) where Bool.random(using: &generator) {
            _ = host.edit(.place, name, backend)
            if Bool.random(using: &generator) { await host.settle() }
        }
        for (name, backend) in backends.sorted(by: { $0.key < $1.key })
        where Int.random(in: 0..<4, using: &generator) == 0 {
            _ = host.edit(Bool.random(using: &generator) ? .shareReaders : .shareWriters, name, backend)
            _ = host.edit(.addSharer, name, backend)
            await host.settle()
        }
        guard Int.random(in: 0..<3, using: &generator) == 0, let order = Edit.orderAdoptServed.order,
            host.edit(.orderAdoptServed, "v0", .lvm)
        else { return }
        _ = await host.pass(order: order("v0"))
        if Bool.random(using: &generator) { _ = host.edit(.serveByHand, "v0", .lvm) }
        await host.settle()
    }

    /// - Returns: whether the oracle had nothing to say.
    mutating func run(steps: Int) async -> Bool {
        var isSound = true
        for step in 0..<steps {
            let what = await self.step()
            let found = host.takeViolations()
            record("step \(step): \(what)", found)
            isSound = isSound && found.isEmpty
            // A world that went wrong once says nothing more.
            if !isSound { return false }
        }
        return isSound
    }

    private mutating func step() async -> String {
        var done: [String] = []
        var order: Order?
        if host.isUnwell, Bool.random(using: &generator) {
            host.heal()
            done.append("heal")
        }
        for _ in 0..<Int.random(in: 1...3, using: &generator) {
            guard let name = backends.keys.sorted().randomElement(using: &generator),
                let edit = Edit.allCases.randomElement(using: &generator), let backend = backends[name]
            else { continue }
            let place = host.place(name)
            if let given = edit.order {
                order = given(place)
                done.append("\(edit) \(place)")
            } else if host.edit(edit, place, backend) {
                done.append("\(edit) \(place)")
            }
        }
        if !host.other.volumes.isEmpty, Bool.random(using: &generator) {
            await host.passOfOther()
            done.append("the other stack")
        }
        let consent = consent()
        let faults = faults()
        let interference = interference()
        let outcome = await host.pass(consent, order: order, faults: faults.plan, interference: interference.1)
        let reboots = Int.random(in: 0..<6, using: &generator) == 0
        host.recover(rebooting: reboots)
        await host.settle(consent)
        return done.joined(separator: ", ") + "; \(faults.plan); \(interference.0); \(outcome.actions) actions"
            + (consent.prune ? ", prune" : "") + (reboots ? ", reboot" : "")
    }

    private mutating func consent() -> Consent {
        var consent = Consent()
        consent.prune = Int.random(in: 0..<4, using: &generator) > 0
        consent.runDue = Int.random(in: 0..<3, using: &generator) > 0
        consent.allowDestroy = Int.random(in: 0..<4, using: &generator) == 0
        consent.allowPoolCreate = Bool.random(using: &generator)
        if Int.random(in: 0..<4, using: &generator) == 0 { consent.allowBlank = host.declaredNames }
        if Int.random(in: 0..<5, using: &generator) == 0 {
            consent.allowRemovals = Int.random(in: 0...3, using: &generator)
        }
        return consent
    }

    private mutating func faults() -> (plan: FaultPlan, Int) {
        var plan = FaultPlan()
        switch Int.random(in: 0..<4, using: &generator) {
        case 0:
            plan.actions[Int.random(in: 0..<25, using: &generator)] =
                FaultPlan.ActionFault.samples.randomElement(using: &generator)
        case 1:
            let source = FaultPlan.Source.allCases.randomElement(using: &generator) ?? .lvm
            plan.reads[FaultPlan.Read(source, Int.random(in: 0..<3, using: &generator))] =
                FaultPlan.ReadFault.samples.randomElement(using: &generator)
        case 2: plan = FaultPlan.random(seed: generator.next(), calls: 40, percent: 12)
        default: break
        }
        return (plan, 0)
    }

    /// Somebody at the machine, or another controller with the same documents, between two actions.
    private mutating func interference() -> (String, Interference?) {
        let choice = Int.random(in: 0..<18, using: &generator)
        guard choice < 14, let name = backends.keys.sorted().randomElement(using: &generator) else {
            return ("alone", nil)
        }
        let before = Int.random(in: 0..<12, using: &generator)
        let machine = host.machine
        let seed = generator.next()
        if choice == 12 {
            var other = host
            other.oracle = Oracle()
            let second = other
            return (
                "another controller at \(before)",
                Interference(before: before) {
                    var second = second
                    _ = await second.pass()
                }
            )
        }
        // The twelfth is the other controller.
        let act = Meddling(choice: choice > 12 ? choice - 1 : choice, name: name, seed: seed)
        return ("\(act) at \(before)", Interference(before: before) { machine.meddle { act.carryOut(&$0) } })
    }
}

/// An act of a person on one volume between plan and act.
struct Meddling: Sendable, CustomStringConvertible {
    let choice: Int
    let name: String
    let seed: UInt64

    var description: String {
        let words = [
            "rename", "exchange", "extend", "untag", "protect", "stranger", "login", "file exchanged", "trash re-dated",
            "file put", "data on a device", "much written", "finished and used",
        ]
        return "\(words[choice]) of \(name)"
    }

    static let choices = 0..<13

    /// The one that names the volume.
    private func sidecar(in world: FakeWorld) -> (uid: String, text: String)? {
        for (path, entry) in world.files.directories[Simulation.directory]?.entries ?? [:] {
            guard case .file(let file) = entry, let text = file.text,
                text.contains("\"tuff:vol=\(name)\"") || text.contains("\"tuff:vol=\(name)x\"")
            else {
                continue
            }
            return (String(path.dropFirst(6).prefix(16)), text)
        }
        return nil
    }

    func carryOut(_ world: inout FakeWorld) {
        let iqn = "\(Sample.iqnBase):\(name)"
        let live = world.lvm["vg0"]?.volumes.values.first { $0.tags.contains("tuff:vol=\(name)") }
        switch choice {
        case 0: if let live { try? world.lvm.rename(live.name, to: "moved-\(seed % 1000)", in: "vg0") }
        case 1:
            // Another volume, somebody else's, under the name the plan speaks of.
            guard let live, !world.isOpen("vg0", live) else { return }
            try? world.lvm.rename(live.name, to: "aside-\(seed % 1000)", in: "vg0")
            try? world.lvm.create(live.name, in: "vg0", pool: "tp0", size: live.size, tags: ["somebody"])
        case 2: if let live { try? world.lvm.extend(live.name, in: "vg0", to: live.size + ByteCount(4 << 20)) }
        case 3: if let live { world.lvm["vg0", live.name]?.tags.removeAll { $0.hasPrefix("tuff:") } }
        // Protecting what is about to go to the trash comes too late: docs/reliability/track-record.md.
        case 4:
            if let live, live.tags.contains(where: { $0.hasPrefix("tuff:until=") }) {
                world.lvm["vg0", live.name]?.tags.append("tuff:protect")
            }
        case 5:
            let path = "iscsi/\(iqn)/tpgt_1/acls/iqn.2004-10.com.example:stranger"
            try? world.targets.meddle(.makeDirectory(.target(path)))
        case 6:
            for initiator in Simulation.initiators {
                _ = world.targets.login(initiator: initiator, to: iqn, chap: (user: "web", secret: Simulation.canary))
            }
        case 7:
            let file = "v-\(name)"
            if let found = world.files[Simulation.directory, file] {
                world.files[Simulation.directory, "aside-\(seed % 1000)"] = found
                world.files[Simulation.directory, file] = nil
                world.files.addFile(file, in: Simulation.directory, size: found.size, allocated: ByteCount(4096))
            }
        case 11:
            // By those who have it; nobody can keep safe what a program writes to a detached volume while that is
            // rolled back.
            if let live, world.isOpen("vg0", live) { world.lvm.write(to: live.name, in: "vg0") }
            if seed % 2 == 1 { _ = world.lvm.overflowTemporaries(in: "vg0") }
        case 12:
            // Another controller was faster, and somebody has data on the volume by now.
            guard let live, live.kind == .linear, live.tags.contains("tuff:op=create") else { return }
            world.lvm["vg0", live.name]?.tags.removeAll { $0 == "tuff:op=create" }
            world.lvm.write(to: live.name, in: "vg0")
        case 10: world.lvm.putData(on: Simulation.blankDevices[Int(seed % 2)])
        case 9:
            // Nobody can tell a file that was moved from one put in its old place at that very moment.
            let sidecar = sidecar(in: world)
            guard sidecar?.text.contains("tuff:op=move") != true else { return }
            for file in ["v-\(name)", "t-\(sidecar?.uid ?? "")"]
            where sidecar?.text.contains("\"\(file)\"") != true
                && world.files.directories[Simulation.directory]?.entries[file] == nil
            {
                world.files.addFile(
                    file, in: Simulation.directory, size: ByteCount(4096), allocated: ByteCount(4096))
            }
        default:
            guard let live, let until = live.tags.first(where: { $0.hasPrefix("tuff:until=") }) else { return }
            world.lvm["vg0", live.name]?.tags.removeAll { $0 == until }
            world.lvm["vg0", live.name]?.tags.append("tuff:until=2099-01-01T00:00:00Z")
        }
    }
}
