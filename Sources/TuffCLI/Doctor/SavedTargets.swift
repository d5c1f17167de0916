import FoundationEssentials
import TuffModel

/// Targets that targetcli saved for rtslib's boot service (rtslib-fb-targetctl.service, target.service). Of ours it
/// is a stale half: that service would hand out volumes as they were, under names and to initiators that are not so
/// any more, and without regard to the modes of secrets.
enum SavedTargets {
    /// Debian's place and everybody else's.
    static let paths = ["/etc/rtslib-fb-target/saveconfig.json", "/etc/target/saveconfig.json"]

    /// Of saveconfig.json what names objects.
    private struct Saved: Decodable {
        struct Backstore: Decodable { var name: String? }
        struct Target: Decodable { var wwn: String? }

        var storageObjects: [Backstore]?
        var targets: [Target]?

        private enum CodingKeys: String, CodingKey {
            case storageObjects = "storage_objects"
            case targets
        }
    }

    static func findings(_ probe: HostProbe, iqnBase: String) -> [Finding] {
        paths.compactMap { path in probe.text(path).map { finding(path, text: $0, iqnBase: iqnBase) } }
    }

    private static func finding(_ path: String, text: String, iqnBase: String) -> Finding {
        guard let saved = try? JSONDecoder().decode(Saved.self, from: Data(text.utf8)) else {
            return Finding(
                .warn, "\(path) cannot be understood: whether it holds targets of ours is not known",
                fix: "look at it; rtslib's boot service restores what it says")
        }
        let targets = (saved.targets ?? []).compactMap(\.wwn).filter { $0.hasPrefix("\(iqnBase):") }
        let backstores = (saved.storageObjects ?? []).compactMap(\.name).filter { UID(backstoreName: $0) != nil }
        let ours = Set(targets + backstores).sorted()
        guard let first = ours.first else { return Finding(.ok, "\(path) holds nothing of ours") }
        let more = ours.count > 1 ? " and \(ours.count - 1) more of ours" : ", which is ours"
        return Finding(
            .fail,
            "\(path) holds \(PrintedText.oneLine(first))\(more): rtslib's boot service would bring a stale state back",
            fix: "take them out of that file, or, if it holds nothing else: systemctl disable --now "
                + "rtslib-fb-targetctl; and keep targetcli from saving them again: targetcli set global "
                + "auto_save_on_exit=false. tuff exports restore brings ours back")
    }
}
