import Glibc
import Synchronization
import Testing
import TuffModel
import TuffSystem
import TuffTestSupport

@testable import TuffHost

@Suite("What worker and controller say")
struct WorkerCodingTests {
    private static let texts = [
        "", "0", "a/b", "iqn.2004-10.com.example:web1", "ä\u{1F9C1}", String(repeating: "x", count: 300),
    ]

    private static func path(_ random: inout Seeded) -> HostPath {
        let relative = texts.randomElement(using: &random)!
        return Bool.random(using: &random) ? .target(relative) : HostPath(.directory("/srv/pool"), relative)
    }

    private static func action(_ random: inout Seeded) -> HostAction {
        let text = texts.randomElement(using: &random)!
        let place = path(&random)
        switch Int.random(in: 0..<14, using: &random) {
        case 0: return .makeDirectory(place)
        case 1: return .removeDirectory(place)
        case 2: return .writeAttribute(place, text, verify: Bool.random(using: &random))
        case 3: return .setMode(place, UInt16.random(in: 0...0o7777, using: &random))
        case 4: return .link(place, to: path(&random))
        case 5: return .unlink(place)
        case 6:
            let uuid = Bool.random(using: &random) ? text : nil
            return .require(.device(group: text, name: "lv", uid: Sample.uid, uuid: uuid))
        case 7: return .writeSecret(place, SecretReference(file: text))
        case 8: return .createFile(place, size: ByteCount(Int64.random(in: 0...Int64.max, using: &random)))
        case 9: return .removeIfEmpty(place)
        case 10: return .removeDirectories(in: place)
        case 11: return .enableBackstore(place, opening: .file(path(&random)))
        case 12:
            let uuid = Bool.random(using: &random) ? text : nil
            return .enableBackstore(
                place, opening: .device(DevicePlace(group: text, name: "lv", uid: Sample.uid, uuid: uuid)))
        default: return .require(.vacant(place))
        }
    }

    private static func request(_ random: inout Seeded) -> WorkerRequest {
        var reach = Reach()
        for sort in Reach.Sort.allCases {
            reach[sort] = Array(texts.prefix(Int.random(in: 0...3, using: &random)))
        }
        let roots = HostRoots(target: "/t", reach: reach)
        if Int.random(in: 0..<4, using: &random) == 0 {
            let readings: [TreeQuery.Reading] = [.presence, .text, .fingerprint, .status]
            let queries = texts.map { TreeQuery($0, readings.randomElement(using: &random)!) }
            return WorkerRequest(
                roots: roots, work: .readTree(path(&random).root, queries, FingerprintKey(bytes: [1, 2, 3])))
        }
        if Int.random(in: 0..<4, using: &random) == 0 {
            let ticket = JobTicket(
                id: "1", kind: texts.randomElement(using: &random)!, summary: texts.randomElement(using: &random)!,
                keys: texts, objects: [Sample.uid],
                servers: Array(texts.prefix(Int.random(in: 0...2, using: &random))))
            let jobs = Bool.random(using: &random) ? "/run/tuff/jobs" : nil
            return WorkerRequest(roots: roots, work: .job(ticket, [123, 125]), jobs: jobs)
        }
        let sequences = (0..<Int.random(in: 0...3, using: &random)).map { _ in
            (0..<Int.random(in: 0...4, using: &random)).map { _ in action(&random) }
        }
        return WorkerRequest(roots: roots, work: .perform(sequences))
    }

    private static func isSame(_ one: WorkerRequest.Work, _ other: WorkerRequest.Work) -> Bool {
        switch (one, other) {
        case (.perform(let one), .perform(let other)): one == other
        case (.readTree(let root, let queries, let key), .readTree(let other, let others, let second)):
            root == other && queries == others && key == second
        case (.job(let one, let body), .job(let other, let second)): one == other && body == second
        default: false
        }
    }

    @Test("A request comes out as it went in, and no part of one is a request with other actions")
    func requests() throws {
        var random = Seeded("worker requests")
        for round in 0..<300 {
            let request = Self.request(&random)
            let bytes = try RequestCoding.encode(request)
            let back = try #require(RequestCoding.decode(bytes), "seed \(random.seed), round \(round)")
            #expect(back.roots == request.roots && back.jobs == request.jobs)
            #expect(Self.isSame(back.work, request.work), "seed \(random.seed), round \(round)")
            for length in Set((0..<8).map { _ in Int.random(in: 0..<bytes.count, using: &random) }) {
                #expect(
                    RequestCoding.decode(Array(bytes[..<length])) == nil,
                    "seed \(random.seed), round \(round), cut at \(length)")
            }
            // Damage may give another request, which its sender would have to have meant; it must not end the worker.
            var damaged = bytes
            damaged[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            _ = RequestCoding.decode(damaged)
        }
    }

    @Test("What the work has come to is told as a number, and nothing else is taken for one")
    func progress() {
        for number in [0, 1, 255, 1 << 40] {
            let progress = WorkerProgress(sequences: number, bytes: UInt64(number), of: UInt64(number) + 7)
            #expect(ProgressCoding.decode(ProgressCoding.encode(progress)) == progress)
            // A job of unknown length has done something all the same.
            let open = WorkerProgress(sequences: 0, bytes: UInt64(number), of: 0, phase: Self.texts[3])
            #expect(ProgressCoding.decode(ProgressCoding.encode(open))?.job == open.job)
            #expect(open.job.done == ByteCount(Int64(number)) && open.moved == nil)
        }
        #expect(ProgressCoding.decode([]) == nil)
        #expect(
            ProgressCoding.decode(ProgressCoding.encode(WorkerProgress(sequences: 1, bytes: 0, of: 0)) + [0]) == nil)
        #expect(ProgressCoding.decode([UInt8](repeating: 255, count: 24)) == nil)
    }

    @Test("The controller's end keeps the work from beginning another action")
    func watch() async throws {
        var ends: [Int32] = [-1, -1]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        let watch = WorkerWatch(input: ends[1], output: ends[1])
        #expect(watch.note())
        close(ends[0])
        #expect(await eventually { !watch.note() })
        watch.end()
        close(ends[1])
    }

    @Test("A thread that waits does the next work, and does not hold on to the last")
    func threads() async throws {
        final class Held: Sendable {}
        let threads = Mutex<[pthread_t]>([])
        weak var last: Held?
        for _ in 0..<20 {
            let held = Held()
            last = held
            _ = await OwnedThread.run { [held] in
                _ = held
                threads.withLock { $0.append(pthread_self()) }
            }
        }
        #expect(Set(threads.withLock { $0 }).count < 20, "a thread was made for each")
        let gone = last
        #expect(gone == nil)
    }

    @Test func aCallThatDoesNotReturnHoldsUpNobody() async {
        let begin = ContinuousClock.now
        let isOver = Mutex(false)
        defer { isOver.withLock { $0 = true } }
        let value = await OwnedThread.run {
            OwnedThread.value(within: 1) { () -> Int in
                while !isOver.withLock({ $0 }) { usleep(10_000) }
                return 1
            }
        }
        #expect(value == .some(nil) && ContinuousClock.now - begin >= .seconds(1))
        #expect(await OwnedThread.run { OwnedThread.value(within: 60) { 7 } } == .some(.some(7)))
    }
}
