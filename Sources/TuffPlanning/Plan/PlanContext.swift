package import TuffModel

/// Everything besides desired and observed state that a plan depends on. Under one fixed context a plan is a pure
/// function: the same inputs give the same bytes.
package struct PlanContext: Hashable, Codable, Sendable {
    /// Civil time of the plan.
    package var now: Instant
    /// 32 hexadecimal digits minted once per plan, of which uids of new objects are hashed.
    package var seed: String
    package var stack: String
    package var config: ControllerConfig
    package var consent: Consent

    package init(
        now: Instant, seed: String, stack: String = "default", config: ControllerConfig, consent: Consent = Consent()
    ) {
        self.consent = consent
        self.now = now
        self.seed = seed
        self.stack = stack
        self.config = config
    }
}

/// Consent of a person to what this plan does beyond making and mending.
package struct Consent: Hashable, Codable, Sendable {
    /// Remove what no document declares any more, and purge what has been in the trash long enough.
    package var prune = false
    /// Purge at once what may be kept for no time (`trashFor: 0s`).
    package var allowDestroy = false
    /// The exact number of removals of this plan, where it is more than the guard lets pass.
    package var allowRemovals: Int?
    /// Carry out what schedules say is due: take policies' snapshots, and destroy those that no longer are to be kept.
    package var runDue = false
    /// Make these again, blank, though they were there once and are lost.
    package var recreate: [ResourceID] = []
    /// Documents whose objects are meant to be new, though something that no document declares looks as if it were
    /// meant.
    package var allowBlank: [ResourceID] = []
    /// Make volume groups and thin pools that documents describe and that are not there.
    package var allowPoolCreate = false
    /// Make backup repositories that documents ask for and that are not there.
    package var allowRepositoryCreate = false
    /// The BackupRepository out of which volumes come back that are declared, new to this host, and have restore points
    /// there; under their old identities.
    package var restoreMissing: String?

    package init() {}

    /// Plans of earlier versions do not say what these did not know.
    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        prune = try container.decode(Bool.self, forKey: .prune)
        allowDestroy = try container.decode(Bool.self, forKey: .allowDestroy)
        allowRemovals = try container.decodeIfPresent(Int.self, forKey: .allowRemovals)
        runDue = try container.decode(Bool.self, forKey: .runDue)
        recreate = try container.decode([ResourceID].self, forKey: .recreate)
        allowBlank = try container.decodeIfPresent([ResourceID].self, forKey: .allowBlank) ?? []
        allowPoolCreate = try container.decode(Bool.self, forKey: .allowPoolCreate)
        allowRepositoryCreate = try container.decodeIfPresent(Bool.self, forKey: .allowRepositoryCreate) ?? false
        restoreMissing = try container.decodeIfPresent(String.self, forKey: .restoreMissing)
    }
}
