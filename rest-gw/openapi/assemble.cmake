# Puts the pieces of the OpenAPI document together and writes them as a C array.
#
#   cmake -DFOLDER=<this folder> -DJSON=<document to write> -DOUT=<C file to write> -P assemble.cmake
#
# document.json is the frame; every other *.json has {"paths": {...}, "schemas": {...}}.
file(READ ${FOLDER}/document.json document)
file(GLOB pieces ${FOLDER}/*.json)
list(REMOVE_ITEM pieces ${FOLDER}/document.json)
list(SORT pieces)

# add(piece member to...): copies the members of piece.member into the document at `to`.
function(add piece member)
    string(JSON count LENGTH "${piece}" ${member})
    if(count EQUAL 0)
        return()
    endif()
    math(EXPR last "${count} - 1")
    foreach(i RANGE ${last})
        string(JSON key MEMBER "${piece}" ${member} ${i})
        string(JSON value GET "${piece}" ${member} "${key}")
        string(JSON is_there ERROR_VARIABLE missing GET "${document}" ${ARGN} "${key}")
        if(NOT missing)
            message(FATAL_ERROR "${key} is described twice")
        endif()
        string(JSON document SET "${document}" ${ARGN} "${key}" "${value}")
    endforeach()
    set(document "${document}" PARENT_SCOPE)
endfunction()

foreach(path ${pieces})
    file(READ ${path} piece)
    add("${piece}" paths paths)
    add("${piece}" schemas components schemas)
endforeach()

file(WRITE ${JSON} "${document}")
file(READ ${JSON} bytes HEX)
string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
file(WRITE ${OUT} "#include \"rest-gw/openapi.h\"

const uint8_t restgw_openapi_json[] = {
${bytes}
};
const size_t restgw_openapi_json_size = sizeof restgw_openapi_json;
")
