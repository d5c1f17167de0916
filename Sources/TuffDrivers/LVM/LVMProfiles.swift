package import TuffHost
package import TuffModel

extension LVMDriver {
    /// The profiles of ours that LVM would read, by file name. A folder that is not there holds none.
    package func observeProfiles(_ machine: any Machine, key: FingerprintKey) async -> ObservationMap<String> {
        let query = TreeQuery("\(AutoExtendSpec.profilePrefix)*")
        do {
            let entries = try await machine.readTree(.lvmProfiles, [query], key: key)
            var result: [String: Observation<String>] = [:]
            for entry in entries {
                if let error = entry.error {
                    result[entry.path] = .unknown(error)
                } else {
                    result[entry.path] = .known(entry.text ?? "")
                }
            }
            return ObservationMap(result)
        } catch {
            return ObservationMap(unlisted: error.code == .notFound ? nil : error)
        }
    }
}
