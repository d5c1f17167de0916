import ArgumentParser

struct Completion: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "completion", abstract: "Print the completion script of a shell.",
        discussion: """
            bash:  tuff completion bash > /etc/bash_completion.d/tuff
            zsh:   tuff completion zsh > "${fpath[1]}/_tuff"
            fish:  tuff completion fish > ~/.config/fish/completions/tuff.fish
            """)

    enum Shell: String, CaseIterable, ExpressibleByArgument {
        case bash, zsh, fish

        var parserShell: CompletionShell {
            switch self {
            case .bash: .bash
            case .zsh: .zsh
            case .fish: .fish
            }
        }
    }

    @Argument(help: "bash, zsh or fish.") var shell: Shell

    func run() throws { try Console.data(Tuff.completionScript(for: shell.parserShell) + "\n") }
}
