/// Objects of one uid, which nothing that was stored on them tells apart.
extension Oracle {
    /// None of them leaves use or the machine, and none gets other marks or another name: it might be the one that
    /// people use.
    func twins(before: OracleView, after: OracleView, intent: Intent) -> [Violation] {
        Dictionary(grouping: before.objects.filter { $0.uid != nil && $0.stack == intent.stack }) { $0.uid! }
            .filter { $0.value.count > 1 }.sorted { $0.key < $1.key }.flatMap { uid, same in
                same.filter { old in
                    let new = after.object(old.key)
                    return new?.tags != old.tags || new?.name != old.name
                }.map { Violation(.removal, "\($0.place) changed while \(same.count) objects bear its uid \(uid)") }
            }
    }
}
