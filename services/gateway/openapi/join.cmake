# cmake -DOUT=file.c -DDIR=openapi [-DPATHS=folder] -P join.cmake: the parts of the API's description as one document in an
# array of bytes. PATHS: with other paths than DIR's, for tests.
# Bytes, not string literals: C11 promises 4095 characters only.

# The members of the objects in these files, with commas between, without the braces around them.
function(members ret)
    set(joined)
    foreach(file ${ARGN})
        file(READ ${file} text)
        string(JSON type ERROR_VARIABLE error TYPE "${text}")
        if(error OR NOT type STREQUAL OBJECT)
            message(FATAL_ERROR "${file}: not one JSON object: ${error}")
        endif()
        string(REGEX REPLACE "^[ \t\r\n]*{" "" text "${text}")
        string(REGEX REPLACE "}[ \t\r\n]*$" "" text "${text}")
        string(STRIP "${text}" text)
        if(NOT text STREQUAL "")
            if(joined)
                string(APPEND joined ",\n")
            endif()
            string(APPEND joined "${text}")
        endif()
    endforeach()
    set(${ret} "${joined}" PARENT_SCOPE)
endfunction()

if(NOT PATHS)
    set(PATHS ${DIR}/paths)
endif()
file(GLOB path_files ${PATHS}/*.json)
file(GLOB schema_files ${DIR}/schemas/*.json)
members(head ${DIR}/head.json)
members(components ${DIR}/components.json)
members(webhooks ${DIR}/webhooks.json)
members(paths ${path_files})
members(schemas ${schema_files})
set(document "{${head},\n\"webhooks\":{${webhooks}},\n\"paths\":{${paths}},\n\"components\":{${components},\n\"schemas\":{${schemas}}}}")

file(WRITE ${OUT}.json "${document}")
file(READ ${OUT}.json hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
string(REGEX REPLACE "(................................................................................)" "\\1\n    " bytes "${bytes}")
file(WRITE ${OUT} "/* Generated from services/gateway/openapi. */
#include \"services/gateway/document.h\"

const char gw_document_text[] = {
    ${bytes}0};
const size_t gw_document_len = sizeof(gw_document_text) - 1;
")
