/* The image in flash: -DZERDA_IMAGE_FILE='"model.zerda"' says which one. */
    .section .rodata.zerda_image, "a"
    .balign 16
    .global zerda_image
zerda_image:
    .incbin ZERDA_IMAGE_FILE
    .section .note.GNU-stack, "", %progbits
