/// Volumes stay where they belong: in the pool that was named, or in one with the labels that were asked for, from the
/// beginning to the end.
extension Oracle {
    func misplaced(_ new: OracleObject, _ intent: Intent) -> [Violation] {
        guard let wanted = intent.volumes[new.label]?.poolLabels, new.mark("vol") != nil else { return [] }
        let pool = intent.pools.first { $0.home == new.home && $0.thinPool == new.thinPool }
        guard let pool else { return [Violation(.identity, "\(new.place) (\(new.label)) is in no declared pool")] }
        let isSelected = wanted.allSatisfy { pool.labels[$0.key] == $0.value }
        return isSelected
            ? [] : [Violation(.identity, "\(new.place) (\(new.label)) is in a pool that its labels do not select")]
    }
}
