/// The result of looking at one outside source. Unknown is not absent: nothing unknown ever yields a create,
/// a delete or a change.
package enum Observation<Value: Sendable>: Sendable {
    case known(Value)
    case unknown(HostError)

    /// The value, nil when unknown. For display and counting only: decisions must switch over both cases.
    package var value: Value? {
        if case .known(let value) = self { return value }
        return nil
    }

    package var isUnknown: Bool {
        if case .unknown = self { true } else { false }
    }

    package func map<Other>(_ transform: (Value) -> Other) -> Observation<Other> {
        switch self {
        case .known(let value): .known(transform(value))
        case .unknown(let error): .unknown(error)
        }
    }
}

extension Observation: Equatable where Value: Equatable {}
extension Observation: Hashable where Value: Hashable {}

extension Observation: Codable where Value: Codable {
    private enum CodingKeys: String, CodingKey { case known, unknown }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        if let error = try container.decodeIfPresent(HostError.self, forKey: .unknown) {
            self = .unknown(error)
        } else {
            self = .known(try container.decode(Value.self, forKey: .known))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        switch self {
        case .known(let value): try container.encode(value, forKey: .known)
        case .unknown(let error): try container.encode(error, forKey: .unknown)
        }
    }
}

/// Observations of many objects of one source by key, so that one hung object does not blind the others.
package struct ObservationMap<Value: Sendable>: Sendable {
    /// Observations, object by object.
    package var entries: [String: Observation<Value>]
    /// The reason why keys without an entry are unknown; nil: they are known to be absent.
    package var unlisted: HostError?

    package init(_ entries: [String: Observation<Value>] = [:], unlisted: HostError? = nil) {
        self.entries = entries
        self.unlisted = unlisted
    }

    /// Known and present, known to be absent (`.known(nil)`), or unknown.
    package subscript(key: String) -> Observation<Value?> {
        if let entry = entries[key] { return entry.map { $0 } }
        return unlisted.map { .unknown($0) } ?? .known(nil)
    }
}

extension ObservationMap: Equatable where Value: Equatable {}
extension ObservationMap: Codable where Value: Codable {}
