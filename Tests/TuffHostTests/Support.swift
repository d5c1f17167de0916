import Glibc
import TuffHost
import TuffModel
import TuffTestSupport

/// Waits until something holds, for at most ten seconds.
func eventually(_ condition: () -> Bool) async -> Bool {
    for _ in 0..<500 {
        if condition() { return true }
        try? await Task.sleep(for: .milliseconds(20))
    }
    return condition()
}

/// Takes a lock that was given up. Between fork and exec a child of another test has a copy of every descriptor, this
/// lock's too, so it may take a moment.
func acquireFreed(_ path: String) async throws -> HostLock {
    var result: HostLock?
    _ = await eventually {
        result = try? HostLock.acquire(path: path, purpose: "next")
        return result != nil
    }
    return try result ?? HostLock.acquire(path: path, purpose: "next")
}

func isAlive(_ pid: Int32) -> Bool { kill(pid, 0) == 0 }

func readPID(_ folder: Folder, _ name: String) async -> Int32? {
    guard await eventually({ folder.read(name)?.hasSuffix("\n") == true }) else { return nil }
    return folder.read(name).flatMap { Int32($0.split(separator: "\n")[0]) }
}

/// Runs blocking work on a thread of its own: the cooperative pool may be one thread wide.
func onThread(_ work: @escaping @Sendable () -> Void) {
    final class Job: Sendable {
        let work: @Sendable () -> Void
        init(_ work: @escaping @Sendable () -> Void) { self.work = work }
    }
    var thread = pthread_t()
    pthread_create(
        &thread, nil,
        { argument in
            // The argument is the job retained below; a thread always gets it.
            Unmanaged<Job>.fromOpaque(argument!).takeRetainedValue().work()
            return nil
        }, Unmanaged.passRetained(Job(work)).toOpaque())
    pthread_detach(thread)
}

/// A source of random numbers whose seed is printed.
struct Seeded: RandomNumberGenerator {
    private var generator: SeededGenerator
    let seed: UInt64

    init(_ purpose: String) {
        seed = UInt64.random(in: 0...UInt64.max)
        generator = SeededGenerator(seed: seed)
        print("\(purpose): seed \(seed)")
    }

    mutating func next() -> UInt64 { generator.next() }
}

let key = FingerprintKey(bytes: Array("a key of the tests".utf8))
