package import TuffModel

/// One external command: an executable found beneath the system's directories, and its arguments. Never a shell.
package struct Command: Hashable, Codable, Sendable, CustomStringConvertible {
    /// Tells whether the command changes anything. Only commands that do not may be killed at their deadline.
    package enum Effect: String, Codable, Sendable { case reads, mutates }

    /// Base name (`lvm`, `tgtadm`) or absolute path.
    package var tool: String
    package var arguments: [String]
    package var effect: Effect
    /// Seconds after which a reading command is ended, or a mutating one is reported as still running.
    package var deadline: Int
    /// Most bytes of standard output that are taken; more is an error.
    package var outputLimit: Int
    /// Exit statuses that mean success; LVM's other statuses change between versions and are never told apart.
    package var successStatuses: [Int32]
    /// Of commands of LVM: the devices on which it looks for volume groups.
    package var view: LVMView

    package init(
        _ tool: String, _ arguments: [String], effect: Effect, deadline: Int = 60, outputLimit: Int = 64 << 20,
        successStatuses: [Int32] = [0], view: LVMView = .own
    ) {
        self.view = view
        self.tool = tool
        self.arguments = arguments
        self.effect = effect
        self.deadline = deadline
        self.outputLimit = outputLimit
        self.successStatuses = successStatuses
    }

    /// The command as a person would type it, quoted for a POSIX shell. Never holds a secret, by construction:
    /// secrets reach the machine only through `HostAction.writeSecret`.
    package var description: String {
        ([tool] + arguments).map(Self.quoted).joined(separator: " ")
    }

    /// A word as a shell takes it.
    package static func quoted(_ word: String) -> String {
        let plain = word.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
            default: "_+-./=:@%,".utf8.contains(byte)
            }
        }
        if plain, !word.isEmpty { return word }
        return "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: #"'\''"#) + "'"
    }
}

/// A place in a tree of files that is only ever opened beneath its root, without following symbolic links.
package struct HostPath: Hashable, Codable, Sendable, CustomStringConvertible {
    package enum Root: Hashable, Codable, Sendable {
        /// `/sys/kernel/config/target`, or what the machine was told stands for it.
        case targetConfiguration
        /// `/etc/lvm/profile`, where LVM looks for profiles (`config/profile_dir`, lvm.conf(5)).
        case lvmProfiles
        /// An absolute directory: a directory pool.
        case directory(String)
    }

    package var root: Root
    /// Relative, without empty, `.` or `..` components.
    package var relative: String

    package init(_ root: Root, _ relative: String) {
        self.root = root
        self.relative = relative
    }

    package static func target(_ relative: String) -> HostPath { HostPath(.targetConfiguration, relative) }

    package var description: String {
        switch root {
        case .targetConfiguration: "/sys/kernel/config/target/\(relative)"
        case .lvmProfiles: "/etc/lvm/profile/\(relative)"
        case .directory(let path): "\(path)/\(relative)"
        }
    }
}

/// A logical volume's bytes: opened by its name, alone, and proven to be the device that the device mapper calls `uuid`
/// before one of them is touched. Nil: as `HostAction.identify` found the volume with our uid.
package struct DevicePlace: Hashable, Codable, Sendable {
    package var group: String
    package var name: String
    package var uid: UID
    package var uuid: String?

    package init(group: String, name: String, uid: UID, uuid: String?) {
        self.group = group
        self.name = name
        self.uid = uid
        self.uuid = uuid
    }

    var path: String { "/dev/\(group)/\(name)" }
}

/// Where the bytes of a volume are.
package enum BytesPlace: Hashable, Codable, Sendable {
    case device(DevicePlace)
    /// A plain file of ours.
    case file(HostPath)

    /// With the device that `HostAction.identify` or a condition found, where that was left open.
    package func identified(_ find: (UID) -> String?) -> BytesPlace {
        guard case .device(var device) = self, device.uuid == nil else { return self }
        device.uuid = find(device.uid)
        return .device(device)
    }
}

/// The way in which bytes of earlier volumes are removed.
package enum WipeMethod: String, Codable, Sendable {
    /// Zeros are written, by the device itself where it can.
    case zero
    /// The device is told to forget; all is read back, and what does not read zeros is written.
    case discard
}

/// The smallest thing Tuff does to a machine. One interpreter carries them out; crash points lie between them.
///
/// `description` shows the one command, or what a person would type for it. An act of more commands says which, and
/// why no crash point lies between them: those that read may be repeated, and those that change leave nothing that the
/// act itself does not clear up when it is done again.
package enum HostAction: Hashable, Codable, Sendable {
    /// Runs one command, which must end with one of its statuses of success.
    case run(Command)
    /// Checks a condition, by one reading command or two, or by reads of files.
    case require(Precondition)
    /// Runs a command that makes the devices of these volumes (`GROUP/NAME`) appear.
    ///
    /// - Usually one command: this `lvchange`, or the `lvcreate` that makes a volume active.
    /// - Where an `lvchange` fails: `lvs` for their thin pools; for each pool `lvremove`, `lvcreate` and `lvremove` of
    ///   one volume, `tuff-settle`, which make LVM send the pool what it owes it; then the command once more. Nobody
    ///   can plan these, since no report shows that a pool is owed anything. A `tuff-settle` that a crash leaves is
    ///   removed by the next attempt.
    /// - Where a device is missing afterwards: `lvs`, and `lvmconfig` once or twice, for the reason.
    case activate(Command, volumes: [String])
    /// Runs a command that makes one inactive volume of `group` whose tags hold our uid.
    ///
    /// - Alone: one command.
    /// - Several next to each other (`performEach`): `vgcfgbackup`, one `lvm` with a line for each volume,
    ///   `vgcfgbackup`, and `lvs` where a line failed. Each line is one write of the group's metadata and an outcome of
    ///   its own. A crash leaves some of the volumes, each whole and marked, and a note that the second `vgcfgbackup`
    ///   is owed.
    case makeVolume(Command, group: String, uid: UID)
    /// Makes every byte of a device read zero that nobody else has open. May take hours.
    case wipe(DevicePlace, WipeMethod)
    /// Makes a volume begin with the bytes of another, and read zeros after them; only what differs is written, so that
    /// doing it again is cheap. Nobody else may have a device or the file that is written open, and a file that is read
    /// must not change meanwhile. May take hours.
    case copyBytes(from: BytesPlace, to: BytesPlace)
    /// Makes a file of ours, absent or of any content, hold what another one of the same file system holds, by sharing
    /// its blocks (FICLONE), durable. The other may be in use. Refused where the file system cannot share.
    case cloneFile(HostPath, to: HostPath)
    /// Makes a volume begin with the bytes of the disk in an image, and read zeros after them; only what differs is
    /// written. The image is opened beneath a root of images. May take hours.
    case copyImage(ImageSource, to: BytesPlace)
    /// Makes a volume begin with the bytes of a restore point, and read zeros after them; only what differs is written.
    /// May take hours, in a worker of its own (`RestoreIntoVolume`).
    case restore(BackupContent, to: BytesPlace)
    /// Makes a restore point of what does not change meanwhile. May take hours, in a worker of its own
    /// (`BackupOfVolume`).
    case backUp(from: BytesPlace, BackupTask)
    /// Removes restore points that no rule keeps, and what then nothing needs. May take hours, in a worker of its own
    /// (`RepositoryPrune`).
    case prune(PruneTask)
    /// Reads a share of what a repository holds back. May take hours, in a worker of its own
    /// (`RepositoryVerification`).
    case verify(VerifyTask)
    /// Restores a point to a scratch volume, compares it, and leaves a receipt. May take hours, in a worker of its own
    /// (`DrillOnVolume`).
    case drill(DrillTask, on: BytesPlace)
    /// Runs a command on a base, with the change of tags that names the restore point which `backUp` made of it in this
    /// process. One command: without such a point it is not run.
    case completeBase(Command, BackupBase, ThinIdentity)
    /// Mounts the share of a directory pool in the host's mount namespace (`ShareMounting`). The same one mounted in
    /// another way is unmounted first where `anew` says so, and nobody uses it; anything else there is an error.
    case mountShare(NFSShare, at: String, anew: Bool)
    /// Unmounts it there. Not mounted is success; in use, or another one, is an error.
    case unmountShare(NFSShare, at: String)
    /// Makes a repository of this name where there is none (`RepositoryCreation`).
    case makeRepository(String, RepositoryAccess)
    /// Wipes the volume that holds the extents for a growth, and remembers them in this process. Its place names the
    /// uid of the volume that grows. May take hours.
    ///
    /// `lvs --segments` asks which device and extents it has, and a worker wipes that device. One act, since only
    /// extents that were asked for right before and wiped whole may be remembered; a crash leaves the holder, which the
    /// next growth removes.
    case wipeExtents(holder: DevicePlace, WipeMethod)
    /// Runs a command that makes the linear volume this large, with the extents behind its arguments that were wiped
    /// for the volume with this uid in this process. One command: they were asked for when they were wiped.
    case joinExtents(Command, group: String, name: String, uid: UID, to: ByteCount)
    /// Runs a command that tells what the device mapper calls the volumes of one group that carry these uids in their
    /// tags, for `Precondition.device` later in the same process. One command for volumes that were just made.
    case identify(Command, group: String, [UID])
    /// mkdir(2). An existing directory is success: configfs objects are found again, not made twice.
    case makeDirectory(HostPath)
    /// rmdir(2). An absent directory is success.
    case removeDirectory(HostPath)
    /// rmdir(2) of a directory that other people's objects may be in too: one that is not empty stays, which is
    /// success.
    case removeIfEmpty(HostPath)
    /// rmdir(2) of every directory in one that somebody made with mkdir(2). What the kernel made itself stays: it
    /// refuses that with EPERM (`configfs_rmdir`). An absent directory is success.
    case removeDirectories(in: HostPath)
    /// Writes 1 to the attribute `enable` of a backstore, at which the kernel opens the volume by its path, and proves
    /// that it opened this one: see `BackstoreOpening`.
    case enableBackstore(HostPath, opening: BytesPlace)
    /// One write(2) of exactly the value, without a newline, into an existing attribute; a lone newline for an empty
    /// value, because configfs ignores a write of nothing. LIO keeps a newline that ends a CHAP name or secret as part
    /// of it (`__DEF_NACL_AUTH_STR` in drivers/target/iscsi/iscsi_target_configfs.c) and needs none elsewhere.
    /// `verify`: read back and compare.
    case writeAttribute(HostPath, String, verify: Bool)
    /// The same with a value read from a secret file at that moment, beneath a root of secrets; nothing is logged.
    case writeSecret(HostPath, SecretReference)
    case setMode(HostPath, UInt16)
    /// symlink(2) whose target is another place of the same root. An equal link is success.
    case link(HostPath, to: HostPath)
    /// unlink(2) of a symbolic link; anything else at that place is an error. Absent is success. A last component `*`
    /// means every symbolic link of the directory, and nothing else in it: other tools choose other names for links.
    case unlink(HostPath)
    /// A new file (mode 0600, O_EXCL) of `size` bytes, sparse, durable with its directory entry. A blank file of ours
    /// (see `Precondition.vacant`) is what an interrupted attempt left: it is set to `size`, which is success.
    /// Anything else at that path is an error and stays as it is.
    case createFile(HostPath, size: ByteCount)
    /// ftruncate(2) to `size`, never smaller than it is, durable.
    case growFile(HostPath, to: ByteCount)
    /// renameat2(2) with RENAME_NOREPLACE: a taken name is an error. `from` absent and `to` there is success. Durable.
    case renameFile(HostPath, to: HostPath)
    /// unlink(2) of a plain file of ours, whatever it holds; absent is success. Durable.
    case removeFile(HostPath)
    /// The whole text, mode 0600, by temporary file, fsync, rename, fsync of the directory.
    case replaceFile(HostPath, String)
    /// Makes the directory in which the kernel keeps persistent reservations (`pr` in what `dbroot` names).
    /// `restoring`: reads what was kept of the disk with this serial number into its backstore, which nothing hands out
    /// yet.
    case keepReservations(HostPath, serial: String, restoring: Bool)
}

extension HostAction {
    /// The command whose status alone tells how the action ended.
    package var command: Command? {
        switch self {
        case .run(let command), .activate(let command, _), .makeVolume(let command, _, _): command
        default: nil
        }
    }
}

extension HostAction: CustomStringConvertible {
    /// The action as `--show-commands` prints it: what a person would type to the same effect.
    package var description: String {
        switch self {
        case .run(let command), .activate(let command, _), .makeVolume(let command, _, _): command.description
        case .require(let condition): "# only if \(condition.sentence)"
        case .wipe(let device, .zero): "blkdiscard --zeroout \(Command.quoted(device.path))"
        case .wipe(let device, .discard):
            "blkdiscard \(Command.quoted(device.path))   # read back, and zeroed where it does not read zeros"
        case .copyBytes(let source, let target):
            "dd if=\(source.quoted) of=\(target.quoted) bs=1M   # only what differs; zeros after it"
        case .cloneFile(let source, let target): "cp --reflink=always \(source.quoted) \(target.quoted)"
        case .copyImage(let image, .device(let device)): image.conversion(to: Command.quoted(device.path))
        case .copyImage(let image, .file(let path)): image.conversion(to: path.quoted)
        case .restore(let content, let target):
            "tuff backup restore \(content.access.options) --at \(content.point) --to \(target.quoted)"
                + "   # only what differs; zeros after it"
        case .backUp(let source, let task):
            "tuff backup run \(task.access.options) --name \(Command.quoted(task.volume)) --source \(source.quoted)"
        case .completeBase(let command, _, _): "\(command)   # with the tags of the restore point"
        case .mountShare(let share, let path, let anew):
            (anew ? "umount \(Command.quoted(path)) && " : "") + NFSMount(share).typed(at: path)
        case .unmountShare(_, let path): "umount \(Command.quoted(path))"
        case .makeRepository(_, let access): "tuff backup init \(access.options)"
        case .verify(let task): "tuff backup check \(task.access.options) --read-data=\(task.share)%"
        case .drill(let task, let place):
            "tuff backup restore \(task.content.access.options) --at \(task.content.point) --to \(place.quoted)"
                + "   # compared with it afterwards"
        case .prune(let task):
            (task.packsDue == nil ? "" : "tuff backup prune \(task.access.options)   ")
                + "# restore points that go: \(task.expired.map(\.point).joined(separator: ", "))"
        case .wipeExtents(let holder, let method): HostAction.wipe(holder, method).description
        case .joinExtents(let command, _, _, _, _):
            "\(command)   # by the extents that were wiped, PV:FIRST-LAST"
        case .identify(let command, _, _): command.description
        case .makeDirectory(let path): "mkdir \(path.quoted)"
        case .removeDirectory(let path), .removeIfEmpty(let path): "rmdir \(path.quoted)"
        case .removeDirectories(let path): "rmdir \(path.quoted)/*   # what the kernel made itself stays"
        case .enableBackstore(let path, let place):
            "echo -n 1 > \(path.quoted)/enable   # and only with \(place.quoted) behind it"
        case .writeAttribute(let path, let value, _):
            "echo -n \(Command.quoted(value)) > \(path.quoted)"
        case .writeSecret(let path, let secret): "tr -d '\\n' < \(Command.quoted(secret.file)) > \(path.quoted)"
        case .setMode(let path, let mode): "chmod 0\(String(mode, radix: 8)) \(path.quoted)"
        case .link(let path, let target): "ln -s \(target.quoted) \(path.quoted)"
        case .unlink(let path): "rm \(path.quoted)"
        case .createFile(let path, let size): "truncate -s \(size.bytes) \(path.quoted)   # new, mode 0600"
        case .growFile(let path, let size): "truncate -s \(size.bytes) \(path.quoted)"
        case .renameFile(let path, let target): "mv -n \(path.quoted) \(target.quoted)"
        case .removeFile(let path): "rm \(path.quoted)"
        case .replaceFile(let path, let text) where path.root == .lvmProfiles:
            // On one line, which means the same to LVM.
            "echo \(Command.quoted(Self.oneLine(text))) > \(path.quoted)"
        case .replaceFile(let path, _): "install -m 0600 /dev/stdin \(path.quoted)"
        case .keepReservations(let path, let serial, let restoring):
            "mkdir -p $(cat /sys/kernel/config/target/dbroot)/pr"
                + (restoring ? "   # and pr/aptpl_\(serial) to \(path.quoted)/pr/res_aptpl_metadata" : "")
        }
    }
}

extension RepositoryAccess {
    /// Options of `tuff backup` that name the same repository.
    fileprivate var options: String {
        let place: String =
            switch site {
            case .directory(let path): Command.quoted(path)
            // Mounted by hand somewhere.
            case .nfs(let share): "MOUNT-OF-" + Command.quoted(share.description)
            }
        return "--repository \(place)" + (key.map { " --key-file \(Command.quoted($0.file))" } ?? "")
    }
}

extension ImageSource {
    /// The command that a person would type, who would take care of what is behind the image's end.
    fileprivate func conversion(to target: String) -> String {
        let check = sha256.map { "echo '\($0)' \(Command.quoted(path)) | sha256sum -c && " } ?? ""
        return check + "qemu-img convert -n -f \(format.rawValue) -O raw \(Command.quoted(path)) \(target)"
            + "   # only what differs; zeros after it"
    }
}

extension HostAction {
    private static func oneLine(_ text: String) -> String {
        let lines = text.split(separator: "\n").filter { !$0.hasPrefix("#") }
        return lines.map { $0.trimmingPrefix { $0 == "\t" } }.joined(separator: " ")
    }
}

extension BytesPlace {
    var quoted: String {
        switch self {
        case .device(let device): Command.quoted(device.path)
        case .file(let path): path.quoted
        }
    }
}

extension HostPath {
    /// As one word of a POSIX shell, but for a last component `*` (see `HostAction.unlink`), which the shell shall see.
    var quoted: String {
        let text = description
        return text.hasSuffix("/*") ? Command.quoted(String(text.dropLast())) + "*" : Command.quoted(text)
    }
}
