// swift-tools-version: 6.3
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InferIsolatedConformances"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("ImmutableWeakCaptures"),
    .treatAllWarnings(as: .error),
]

// Tests take three to ten times as long where the program itself was not optimized, and compiling takes half as long again
// where it is: the Makefile sets this, people who build and try again and again do not.
let program =
    Context.environment["TUFF_OPTIMIZED"] == "1"
    ? strict + [.unsafeFlags(["-O"], .when(configuration: .debug))] : strict

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let subprocess = Target.Dependency.product(name: "Subprocess", package: "swift-subprocess")
let systemPackage = Target.Dependency.product(name: "SystemPackage", package: "swift-system")

let package = Package(
    name: "tuff",
    products: [.executable(name: "tuff", targets: ["tuff"])],
    dependencies: [
        // The command line: subcommands, help texts and shell completions that users already know.
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        // SHA-256 and HMAC for uids, plan digests and secret fingerprints; AES-GCM, HKDF and scrypt of
        // encrypted backup repositories.
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        // Children started with posix_spawn and reaped without blocking a cooperative thread.
        // Its Foundation trait stays off: Foundation would quadruple the binary.
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2", traits: []),
        // FileDescriptor and Errno: the types swift-subprocess speaks, and typed errno for our own calls.
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
    ],
    targets: [
        .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        // Inflates compressed clusters of qcow2 images, whose format is deflate; every Debian system has it.
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .target(name: "TuffModel", swiftSettings: program),
        .target(name: "TuffSystem", dependencies: ["CTuffHost"], swiftSettings: program),
        .target(name: "TuffImages", dependencies: ["CZlib"], swiftSettings: program),
        // Compresses blocks of backups: the best ratio for its speed (RFC 8878).
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .target(
            name: "TuffRepository", dependencies: ["TuffSystem", "CTuffHost", "CScrypt", "CZstd", crypto],
            swiftSettings: program),
        // BoringSSL's scrypt without CryptoExtras, which would add 1 MB for it.
        .target(name: "CScrypt", dependencies: [crypto]),
        // Decompresses what Cinder may be told to write (`backup_compression_algorithm = bzip2`); dpkg itself needs it.
        .systemLibrary(name: "CBzip2", providers: [.apt(["libbz2-dev"])]),
        .target(
            name: "TuffCinder",
            dependencies: [
                "TuffModel", "TuffSystem", "TuffRepository", "CTuffHost", "CBzip2", "CZlib", "CZstd", crypto,
            ],
            swiftSettings: program
        ),
        .target(name: "TuffSchedule", dependencies: ["TuffModel"], swiftSettings: program),
        .target(
            name: "TuffConfig", dependencies: ["TuffModel", "TuffSchedule", "CYAML", "CTuffHost"],
            swiftSettings: program
        ),
        .target(name: "TuffPlanning", dependencies: ["TuffModel", "TuffSchedule", crypto], swiftSettings: program),
        .target(name: "CTuffHost", swiftSettings: program),
        .target(
            name: "TuffHost",
            dependencies: ["TuffModel", "TuffSystem", "TuffImages", "CTuffHost", crypto, subprocess, systemPackage],
            swiftSettings: program
        ),
        .target(
            name: "TuffReconcile", dependencies: ["TuffModel", "TuffPlanning", "TuffHost"], swiftSettings: program),
        .target(
            name: "TuffDrivers",
            dependencies: ["TuffModel", "TuffSystem", "TuffPlanning", "TuffHost", "TuffReconcile"],
            swiftSettings: program
        ),
        .target(
            name: "TuffController",
            dependencies: [
                "TuffModel", "TuffConfig", "TuffSchedule", "TuffPlanning", "TuffHost", "TuffReconcile", "TuffDrivers",
                "TuffRepository", "TuffCinder", "TuffSystem", crypto,
            ],
            swiftSettings: program
        ),
        .target(
            name: "TuffCLI",
            dependencies: [
                "TuffController", "TuffModel", "TuffConfig", "TuffPlanning", "TuffHost", "TuffReconcile", "TuffDrivers",
                "TuffRepository",
                "TuffSchedule", "TuffCinder", "TuffSystem", argumentParser, systemPackage, crypto,
            ],
            swiftSettings: program
        ),
        .executableTarget(
            name: "tuff",
            dependencies: ["TuffCLI"],
            swiftSettings: program,
            // At a fixed address the loader has none of Swift's metadata to relocate, which was a quarter of the time
            // that `tuff version` takes on a small machine. Stack, heap and libraries stay where chance puts them.
            // Nobody looks up symbols of ours by name either. The C++ runtime comes from the program itself where the
            // Makefile has laid its archive in the first of the folders: relocating it was a fifth of all page faults.
            linkerSettings: [
                .unsafeFlags(
                    [
                        "-L.build/c++", "-Xclang-linker", "-no-pie", "-Xclang-linker", "-static-libgcc",
                        "-Xlinker", "--no-export-dynamic",
                    ], .when(configuration: .release))
            ]
        ),
        .target(
            name: "TuffTestSupport",
            dependencies: [
                "TuffModel", "TuffSystem", "TuffConfig", "TuffPlanning", "TuffHost", "TuffReconcile", "TuffDrivers",
            ],
            swiftSettings: program
        ),
        .testTarget(
            name: "TuffModelTests",
            dependencies: ["TuffModel", "TuffTestSupport"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "TuffImagesTests",
            dependencies: ["TuffImages", "TuffHost", "TuffModel", "TuffTestSupport"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "TuffRepositoryTests",
            dependencies: ["TuffSystem", "TuffRepository", "CScrypt", "TuffTestSupport"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "TuffCinderTests",
            dependencies: [
                "TuffCinder", "TuffCLI", "TuffRepository", "TuffTestSupport", "CBzip2", "CZlib", "CZstd", crypto,
            ],
            exclude: ["Golden"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "TuffScheduleTests",
            dependencies: ["TuffModel", "TuffSchedule", "TuffTestSupport"],
            exclude: ["Golden"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "TuffConfigTests",
            dependencies: ["TuffModel", "TuffConfig", "TuffTestSupport"],
            exclude: ["Golden"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "TuffPlanningTests",
            dependencies: ["TuffModel", "TuffHost", "TuffPlanning", "TuffConfig", "TuffTestSupport"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "TuffHostTests",
            dependencies: [
                "TuffModel", "TuffSystem", "CTuffHost", "TuffHost", "TuffTestSupport", crypto, systemPackage,
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "TuffDriversTests",
            dependencies: ["TuffModel", "TuffPlanning", "TuffHost", "TuffReconcile", "TuffDrivers", "TuffTestSupport"],
            exclude: ["Fixtures", "Target/Samples"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "TuffReconcileTests",
            dependencies: [
                "TuffModel", "TuffConfig", "TuffPlanning", "TuffHost", "TuffReconcile", "TuffDrivers",
                "TuffTestSupport",
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "TuffControllerTests",
            dependencies: [
                "TuffModel", "TuffPlanning", "TuffHost", "TuffReconcile", "TuffRepository", "TuffController",
                "TuffSystem", "TuffTestSupport",
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "TuffCLITests",
            dependencies: [
                "TuffModel", "TuffConfig", "TuffPlanning", "TuffHost", "TuffReconcile", "TuffDrivers", "TuffController",
                "TuffCLI",
                "TuffTestSupport",
            ],
            exclude: ["Golden"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "TuffFaultTests",
            dependencies: [
                "TuffModel", "TuffPlanning", "TuffHost", "TuffReconcile", "TuffDrivers", "TuffTestSupport",
            ],
            swiftSettings: program
        ),
        .testTarget(
            name: "TuffLabTests",
            dependencies: [
                "TuffModel", "TuffConfig", "TuffPlanning", "TuffHost", "TuffReconcile", "TuffDrivers",
                "TuffSystem", "TuffTestSupport", crypto,
            ],
            swiftSettings: strict
        ),
    ]
)
