import TuffModel

/// Scratch volumes, which a restore point is restored to for practice, and what receipts say of that.
extension OracleObject {
    var isScratch: Bool { mark("drill") != nil }

    /// It has the four marks of a scratch volume, and none besides.
    var isPureScratch: Bool {
        let own = tags.filter { $0.hasPrefix("tuff:") }
        return own.count == 4 && mark("op") == "drill" && uid != nil && mark("stack") != nil && isScratch
    }
}

extension Oracle {
    /// One is made for a policy that asks for it, and when that may be done.
    func scratch(_ new: OracleObject, intent: Intent) -> [Violation] {
        guard new.stack == intent.stack, new.isPureScratch, intent.runDue,
            intent.drills.contains(new.mark("drill") ?? "")
        else { return [Violation(.foreign, "\(new.place) is a scratch volume that nobody asked for")] }
        return []
    }

    /// It may go whenever the product likes, but for one that a job is at work on, and nothing else may.
    func scratchGone(_ old: OracleObject, before: OracleView) -> [Violation] {
        guard old.isPureScratch else {
            return [Violation(.removal, "\(old.place) has marks besides those of a scratch volume, and is gone")]
        }
        let path = old.home.hasPrefix("/") ? "\(old.home)/\(old.name)" : "/dev/\(old.home)/\(old.name)"
        let isBusy = before.world.jobs.entries.values.compactMap(\.value).contains { job in
            job.keys.contains("data:\(path)") || job.objects.contains { $0.description == old.uid }
        }
        return isBusy ? [Violation(.removal, "\(old.place) is gone, and a job was at work on it")] : []
    }

    /// Nobody is ever shown one.
    func scratchesShown(_ view: OracleView) -> [Violation] {
        let shown = view.world.exportedVolumes()
        return view.objects.filter { $0.isScratch && shown.contains("/dev/\($0.home)/\($0.name)") }.map {
            Violation(.sessions, "\($0.place) is a scratch volume, and handed out")
        }
    }

    /// None is left, but for one that a job is at work on.
    func scratchesSettled(_ view: OracleView, mine: [OracleObject]) -> [Violation] {
        mine.filter { $0.isPureScratch && scratchGone($0, before: view).isEmpty }.map {
            Violation(.leaks, "the scratch volume \($0.place) is left")
        }
    }

    /// Receipts come when that may be done, and say of a point that it came back only where it is there and comes back
    /// as it was.
    func drilled(before: OracleView, after: OracleView, intent: Intent) -> [Violation] {
        after.world.repositories.flatMap { place, repository -> [Violation] in
            let former = before.world.repositories[place]?.receipts ?? []
            return repository.receipts.filter { $0.work == .drill && !former.contains($0) }.compactMap { receipt in
                let point = receipt.point ?? ""
                guard intent.runDue else { return Violation(.foreign, "restore point \(point) was drilled unasked") }
                let comesBack = repository.stamps[point] != nil && !repository.rotten.contains(point)
                guard receipt.fault == nil, !comesBack else { return nil }
                return Violation(.bytes, "restore point \(point) is said to come back, and does not")
            }
        }
    }
}
