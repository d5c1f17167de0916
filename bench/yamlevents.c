// The floor of reading YAML: parses the files it is given into libyaml's events, and drops them.
#include <stdio.h>
#include <yaml.h>
int main(int count, char **paths) {
    for (int i = 1; i < count; i++) {
        FILE *file = fopen(paths[i], "rb");
        yaml_parser_t parser;
        if (!file || !yaml_parser_initialize(&parser)) return 1;
        yaml_parser_set_input_file(&parser, file);
        for (int over = 0; !over;) {
            yaml_event_t event;
            if (!yaml_parser_parse(&parser, &event)) return 1;
            over = event.type == YAML_STREAM_END_EVENT;
            yaml_event_delete(&event);
        }
        yaml_parser_delete(&parser);
        fclose(file);
    }
    return 0;
}
